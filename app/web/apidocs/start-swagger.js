// Starts Swagger UI, with names for what it leaves without one.

/** What a screen reader calls a control, by what stands beside it. */
function nameOf(control) {
  if (control.id === "servers") return "Server";
  if (control.classList.contains("examples-select-element")) return "Example";
  return control.closest("[data-param-name]")?.dataset.paramName ?? (control.matches("textarea") ? "Body" : "Value");
}

function complete() {
  for (const control of document.querySelectorAll("#docs :is(select, textarea, input):not([aria-label])")) {
    // The label around a menu has no word of its own.
    if (control.matches("select") || !control.labels?.length) control.setAttribute("aria-label", nameOf(control));
  }
  // What scrolls must be reached by the keyboard too.
  for (const code of document.querySelectorAll("#docs .microlight:not([tabindex])")) code.tabIndex = 0;
}

new MutationObserver(complete).observe(document.getElementById("docs"), { childList: true, subtree: true });

SwaggerUIBundle({
  url: document.body.dataset.document,
  dom_id: "#docs",
  displayRequestDuration: true,
  tryItOutEnabled: true,
  persistAuthorization: false,
  validatorUrl: null,
  defaultModelsExpandDepth: 0,
});
