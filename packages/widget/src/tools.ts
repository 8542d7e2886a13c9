/** What shows calls of tools and asks for approval, and how it looks: a part of the program by itself. */
import approvals from "../../../web-demo/src/styles/approvals.css?inline";
import tools from "../../../web-demo/src/styles/tools.css?inline";

export { ToolCards } from "../../../web-demo/src/page/tool-cards";
export const styles = `${tools}\n${approvals}`;
