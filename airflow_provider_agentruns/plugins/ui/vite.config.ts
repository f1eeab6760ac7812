// SPDX-License-Identifier: Apache-2.0
// Builds page.js and page.css. Fixed names keep the difference between two builds small.

import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: "src/main.tsx",
      output: {
        entryFileNames: "page.js",
        assetFileNames: "page.[ext]",
        codeSplitting: false,
        postBanner: "/*! With Preact, see licenses.txt */",
      },
    },
  },
});
