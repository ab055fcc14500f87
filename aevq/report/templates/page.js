"use strict";
// Clicks on the head of a column sort its rows: best first, then reversed. Cells without a value stay below.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const up = before ? before === "descending" : head.dataset.first !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const value = (row) => row.cells[column].dataset.value;
      const order = (a, b) => (head.dataset.kind === "text" ? a.localeCompare(b) : Number(a) - Number(b));
      const rows = [...body.rows].filter((row) => !row.classList.contains("reference"));
      const reference = [...body.rows].filter((row) => row.classList.contains("reference"));
      rows.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        return up ? order(x, y) : order(y, x);
      });
      body.append(...rows, ...reference);
    });
  });
}
window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
