"use strict";
// Lists are sorted by the numbers and texts in their items' data attributes.
for (const select of document.querySelectorAll("select[data-list]")) {
  const list = document.getElementById(select.dataset.list);
  const items = [...list.children];
  select.addEventListener("change", () => {
    const [key, direction] = select.value.split(" ");
    const sign = direction === "down" ? -1 : 1;
    const compare = (a, b) => {
      const x = a.dataset[key], y = b.dataset[key];
      return sign * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
    };
    list.append(...items.sort(compare));
  });
}
for (const input of document.querySelectorAll("input[data-list]")) {
  const items = [...document.getElementById(input.dataset.list).children];
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase();
    for (const item of items) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  });
}
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = head.closest("table").tBodies[0];
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[head.cellIndex].dataset.value
      ?? row.cells[head.cellIndex].textContent;
    const compare = (a, b) => {
      const x = value(a), y = value(b);
      return (down ? -1 : 1) * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
    };
    body.append(...[...body.rows].sort(compare));
  });
}
