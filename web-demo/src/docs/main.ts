/** Shows the interface as the gateway itself describes it. */
import "swagger-ui-dist/swagger-ui.css";
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import { byId } from "../page/element";

SwaggerUI({
  url: "./openapi.json",
  domNode: byId("docs"),
  deepLinking: true,
  // It would ask a server of its makers.
  validatorUrl: null,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
});
