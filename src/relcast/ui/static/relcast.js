// What the pages do without asking the server: theme, copying, and the caret's place.
(() => {
  const media = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => (document.cookie.match(/(?:^|; )relcast_theme=(light|dark)/) || [])[1] || "auto";
  const isDark = () => (chosen() === "auto" ? media.matches : chosen() === "dark");

  function apply() {
    document.documentElement.dataset.theme = isDark() ? "dark" : "light";
    // Quasar's own parts (dialogs, menus, icons) follow once they are there.
    if (window.Quasar) window.Quasar.Dark.set(isDark());
    for (const label of document.querySelectorAll("[data-theme-label]"))
      label.textContent = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" }[chosen()];
  }

  window.relcastTheme = () => {
    const next = { auto: "light", light: "dark", dark: "auto" }[chosen()];
    document.cookie = `relcast_theme=${next}; path=/; max-age=31536000; samesite=lax`;
    apply();
  };

  window.relcastCopy = async (event) => {
    const button = event.currentTarget;
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      // Without https the clipboard is closed to scripts: select, and let the browser copy.
      const range = document.createRange();
      range.selectNodeContents(code);
      const selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      document.execCommand("copy");
    }
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1500);
  };

  // A session that ended elsewhere shows here as a socket that is refused: go and sign in again.
  async function refused() {
    const answer = await fetch("/session", { method: "HEAD" }).catch(() => null);
    if (answer && answer.status === 401) location.reload();
  }

  addEventListener("load", () => {
    const waiting = setInterval(() => {
      if (!window.socket) return;
      clearInterval(waiting);
      window.socket.on("connect_error", refused);
    }, 100);
  });

  media.addEventListener("change", apply);
  apply();
  document.addEventListener("DOMContentLoaded", apply);
  window.relcastApplyTheme = apply;
})();
