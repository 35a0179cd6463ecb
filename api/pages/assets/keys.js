// Keys: "/" to search, "j" and "k" to the next and previous row, "g" and a letter to a page.
// Off while somebody types. Pages are complete without it.
(() => {
  // By the names of the entries of the menu, whose links also say of which time a page is.
  const pages = { o: "home", i: "invoices", n: "instances", c: "computers", u: "usage", l: "log" };
  let going = false;
  const rows = () => [...document.querySelectorAll("main tbody a.why, main tbody th a")];
  const step = (by) => {
    const all = rows();
    const next = all[all.indexOf(document.activeElement) + by] ?? (by > 0 ? all[0] : all.at(-1));
    next?.focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    if (going) {
      going = false;
      document.querySelector(`#menu a[data-testid="nav-${pages[event.key]}"]`)?.click();
      return;
    }
    if (event.key === "g") going = true;
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "/") {
      const search = document.querySelector("main input[type=search], main .filters input");
      if (search) { event.preventDefault(); search.focus(); }
    }
  });
})();
