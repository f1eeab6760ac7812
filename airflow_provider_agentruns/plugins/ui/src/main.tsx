// SPDX-License-Identifier: Apache-2.0
// Renders the page that the server's HTML names.

import { render } from "preact";

import { OverviewPage } from "./overview/OverviewPage";
import "./style/base.css";
import "./style/parts.css";
import "./style/task.css";
import "./style/overview.css";
import { TaskPage } from "./task/TaskPage";
import { followTheme } from "./theme";

followTheme();
const page = document.getElementById("page");
if (page?.dataset.page === "task") render(<TaskPage />, page);
if (page?.dataset.page === "overview") render(<OverviewPage />, page);
