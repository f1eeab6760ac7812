// SPDX-License-Identifier: Apache-2.0
// Builds page.js and page.css under fixed names, so that a change of the source is a change of these files and no more.

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
