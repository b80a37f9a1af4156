// Buttons that copy a text of the page.

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const said = button.nextElementSibling;
    try {
      await navigator.clipboard.writeText(source.textContent);
      said.textContent = "Copied.";
    } catch {
      // Without leave to write to the clipboard the text is selected, for the reader to copy.
      const folded = source.closest("details");
      if (folded) folded.open = true;
      getSelection().selectAllChildren(source);
      said.textContent = "Selected: press Ctrl+C, or Cmd+C.";
    }
  });
}
