// Runs before the page is drawn, so that nobody who chose dark sees a flash of light.
// "auto" follows the system; the switch in the header stores a choice.
(() => {
  let choice = null;
  try {
    choice = localStorage.getItem("spillway.theme");
  } catch {
    // Storage is switched off: the system's choice stays.
  }
  if (choice === "light" || choice === "dark") document.documentElement.dataset.theme = choice;
})();
