// SPDX-License-Identifier: Apache-2.0
// Renders the page that the server's HTML names.

import { render } from "preact";

import "./style/base.css";
import "./style/parts.css";
import "./style/task.css";
import "./style/waiting.css";
import { TaskPage } from "./task/TaskPage";
import { followTheme } from "./theme";
import { WaitingPage } from "./waiting/WaitingPage";

followTheme();
const page = document.getElementById("page");
if (page) {
  render(page.dataset.page === "task" ? <TaskPage /> : <WaitingPage />, page);
}
