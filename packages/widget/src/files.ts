/** What shows files, and how it looks: a part of the program by itself. */
import styles from "../../../web-demo/src/styles/artifacts.css?inline";

export { ArtifactCards } from "../../../web-demo/src/page/artifact-cards";
export { styles };
