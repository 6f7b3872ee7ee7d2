"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const tip = document.getElementById("tip");

  // Light, dark, or as the system has it.
  const theme = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const now = document.documentElement.dataset.theme || "auto";
    const next = themes[(themes.indexOf(now) + 1) % themes.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    theme.textContent = `Theme: ${next}`;
  });

  // What a mark says, beside the pointer or the mark.
  const say = (text, x, y) => {
    tip.textContent = text;
    tip.hidden = false;
    const width = tip.offsetWidth, height = tip.offsetHeight;
    tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - width - 4))}px`;
    tip.style.top = `${y - height - 12 > 4 ? y - height - 12 : y + 18}px`;
  };
  const hush = () => {
    tip.hidden = true;
    all(".now").forEach((mark) => mark.classList.remove("now"));
  };
  const rasterText = (area, x, y) => {
    const box = area.getBoundingClientRect(), data = area.dataset;
    const rows = data.rows.split(","), steps = Number(data.steps);
    const step = Math.min(steps - 1, Math.max(0, Math.floor(((x - box.left) / box.width) * steps)));
    const row = Math.min(rows.length - 1, Math.max(0, Math.floor(((y - box.top) / box.height) * rows.length)));
    const from = step * Number(data.stepMs);
    return `${data.layer}, neuron ${rows[row]}, step ${step} (from ${+from.toFixed(1)} ms)`;
  };
  const point = (event) => {
    const mark = event.target.closest?.("[data-tip]"), area = event.target.closest?.("[data-rows]");
    if (mark) say(mark.dataset.tip, event.clientX, event.clientY);
    else if (area) say(rasterText(area, event.clientX, event.clientY), event.clientX, event.clientY);
    else hush();
  };
  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);
  document.addEventListener("scroll", hush, true);

  // A focused chart is read with the arrow keys, mark by mark.
  all("svg[tabindex]").forEach((chart) => {
    const marks = all("[data-tip]", chart);
    let at = -1;
    const show = () => {
      hush();
      const box = marks[at].getBoundingClientRect();
      marks[at].classList.add("now");
      say(marks[at].dataset.tip, box.right, box.top);
    };
    chart.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") hush();
      if (!by) return;
      event.preventDefault();
      at = (at + by + marks.length) % marks.length;
      show();
    });
    chart.addEventListener("blur", hush);
  });

  // One of several: a select shows its choice and hides the others.
  all("select[data-chooser]").forEach((select) => {
    const name = select.dataset.chooser;
    const groups = all(`[data-choices="${name}"]`);
    const choose = () => {
      groups.forEach((group) =>
        [...group.children].forEach((choice, place) =>
          choice.classList.toggle("other", place !== select.selectedIndex)));
      all(`[data-chooses="${name}"]`).forEach((button) =>
        button.setAttribute("aria-pressed", String(Number(button.dataset.place) === select.selectedIndex)));
    };
    select.addEventListener("change", choose);
    all(`[data-chooses="${name}"]`).forEach((button) =>
      button.addEventListener("click", () => {
        select.selectedIndex = Number(button.dataset.place);
        choose();
      }));
    select.closest(".chooser").hidden = false;
    choose();
  });
})();
