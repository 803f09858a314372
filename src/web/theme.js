// SPDX-License-Identifier: BSD-2-Clause
// The theme that was chosen, before anything is painted: the one script that is no module. Without a choice the system's.
'use strict';

(() => {
  const KEY = 'turnpike.theme';
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');

  function stored() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is forbidden: the system's choice it is
    }
  }

  const current = () => root.dataset.theme ?? (system.matches ? 'dark' : 'light');

  function choose(theme) {
    // What the system says anyway is no choice: then the page keeps following it.
    const own = theme !== (system.matches ? 'dark' : 'light');
    if (own) root.dataset.theme = theme;
    else delete root.dataset.theme;
    try {
      if (own) localStorage.setItem(KEY, theme);
      else localStorage.removeItem(KEY);
    } catch {
      // holds for this page only
    }
  }

  const theme = stored();
  if (theme === 'dark' || theme === 'light') root.dataset.theme = theme;

  document.addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const show = () => {
      const other = current() === 'dark' ? 'light' : 'dark';
      button.textContent = other === 'dark' ? 'Dark' : 'Light';
      button.setAttribute('aria-label', `Use the ${other} theme`);
    };
    button.addEventListener('click', () => {
      choose(current() === 'dark' ? 'light' : 'dark');
      show();
    });
    system.addEventListener('change', show);
    show();
  });
})();
