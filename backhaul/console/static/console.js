// What the pages do without: refreshing, keys, copying. With scripting off everything still works.
"use strict";
const rows = () => [...document.querySelectorAll("table.rows tbody tr")];
const typing = (at) => at.closest("input, select, textarea, [contenteditable]");
document.querySelectorAll(".scripted").forEach((part) => (part.hidden = false));

const keys = document.getElementById("keys");
document.querySelector("[data-help]").addEventListener("click", () => keys.showModal());

const places = { o: "/", r: "/returns", e: "/exceptions", q: "/quarantine", d: "/deliveries", t: "/trends" };
let at = -1;
let isGoing = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || keys.open) return;
  if (isGoing && places[event.key]) { location.assign(places[event.key]); return; }
  isGoing = event.key === "g";
  if (event.key === "/") { event.preventDefault(); document.querySelector(".find input")?.select(); }
  else if (event.key === "?") keys.showModal();
  else if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
});

function move(step) {
  const all = rows();
  if (!all.length) return;
  at = Math.min(Math.max(at + step, 0), all.length - 1);
  all.forEach((row, place) => row.classList.toggle("here", place === at));
  const link = all[at].querySelector("a");
  if (link) link.focus({ preventScroll: true });
  all[at].scrollIntoView({ block: "nearest" });
}

document.querySelectorAll("[data-copy]").forEach((button) => {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = "Copied";
  });
});

// The page fetches itself and takes its new middle, where nobody is typing, reading a fold or has marked a row.
const refresh = document.querySelector("[data-refresh]");
const every = 15000;
let timer = 0;
function setRefreshing(isOn) {
  clearInterval(timer);
  if (isOn) timer = setInterval(renew, every);
  refresh.setAttribute("aria-pressed", String(isOn));
  refresh.textContent = `Refresh by itself: ${isOn ? "on" : "off"}`;
  sessionStorage.setItem("refresh", isOn ? "on" : "");
}
async function renew() {
  const main = document.getElementById("main");
  if (document.hidden || main.querySelector("details[open]") || main.contains(document.activeElement)) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  main.replaceChildren(...page.getElementById("main").childNodes);
  document.querySelector(".foot time").replaceWith(page.querySelector(".foot time"));
}
refresh.addEventListener("click", () => setRefreshing(refresh.getAttribute("aria-pressed") !== "true"));
if (sessionStorage.getItem("refresh")) setRefreshing(true);
