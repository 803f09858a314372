// SPDX-License-Identifier: BSD-2-Clause
// What a page's WebSocket is hung on, for `init` of a visitor: window.wire of the page.
export function wire() {
  const Real = window.WebSocket;
  const sockets = new Set();
  const [said, heard] = [[], []];
  let down = false;
  window.wire = {
    // The messages that went out and came in, as objects.
    said,
    heard,
    // The connection breaks, and there is none until mend().
    cut() {
      down = true;
      for (const socket of sockets) socket.close();
    },
    mend() {
      down = false;
    },
    // It looks alive, and what is sent does not arrive: all of it, or what lose(text) is true for.
    deafen(lose = () => true) {
      for (const socket of sockets) {
        const { send } = socket;
        socket.send = (text) => lose(text) || send.call(socket, text);
      }
    },
    // As if the server had said it.
    hear(message) {
      for (const socket of sockets) socket.onmessage({ data: JSON.stringify(message) });
    },
  };
  window.WebSocket = class extends Real {
    constructor(url) {
      super(down ? `${url}-is-away` : url);
      sockets.add(this);
      this.addEventListener('close', () => sockets.delete(this));
      this.addEventListener('message', ({ data }) => heard.push(JSON.parse(data)));
    }

    send(text) {
      said.push(JSON.parse(text));
      super.send(text);
    }
  };
}
