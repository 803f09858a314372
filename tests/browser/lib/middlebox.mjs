// SPDX-License-Identifier: BSD-2-Clause
// What stands on the way to the server: a proxy that knows no WebSocket, a NAT, and somebody who rewrites what is said.
import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';

const HOST = '127.0.0.1';

// Passes HTTP on to this port as it is. upgrade: 'refuse' answers a WebSocket with 403, 'swallow' never answers it.
export class Proxy {
  static async start(port, upgrade) {
    const self = new Proxy();
    self.swallowed = [];
    self.server = http.createServer((request, response) => {
      const { method, url: path, headers } = request;
      const onward = http.request({ host: HOST, port, method, path, headers, agent: false }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        response.flushHeaders();
        answer.pipe(response);
        answer.on('error', () => response.destroy());
      });
      onward.on('error', () => response.destroy());
      response.on('close', () => onward.destroy());
      request.pipe(onward);
    });
    self.server.on('upgrade', (request, socket) => {
      socket.on('error', () => {});
      if (upgrade === 'refuse') socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      else self.swallowed.push(socket);
    });
    self.server.listen(0, HOST);
    await once(self.server, 'listening');
    return self;
  }

  get url() {
    return `http://${HOST}:${this.server.address().port}/`;
  }

  close() {
    for (const socket of this.swallowed) socket.destroy();
    this.server.closeAllConnections();
    this.server.close();
  }
}

// A NAT in front of the server at this port: `port` is where clients send to, and each of them comes out of a port of its own.
export class Nat {
  static async start(port) {
    const self = new Nat();
    self.inside = dgram.createSocket('udp4');
    self.outside = new Map();
    self.inside.on('message', (data, from) => self.#mapping(from, port).send(data));
    self.inside.bind(0, HOST);
    await once(self.inside, 'listening');
    self.port = self.inside.address().port;
    return self;
  }

  // The ports that the server sees.
  get mapped() {
    return [...this.outside.values()].map(({ socket }) => socket.address().port);
  }

  close() {
    this.inside.close();
    for (const { socket } of this.outside.values()) socket.close();
  }

  #mapping(from, port) {
    const known = this.outside.get(from.port);
    if (known) return known;
    const socket = dgram.createSocket('udp4');
    const early = [];
    const mapping = {
      socket,
      send: (data) => (early.ready ? socket.send(data) : early.push(data)),
    };
    this.outside.set(from.port, mapping);
    socket.on('message', (data) => this.inside.send(data, from.port, from.address));
    socket.on('error', () => {}); // nobody listens there just now
    socket.connect(port, HOST, () => {
      early.ready = true;
      for (const data of early) socket.send(data);
    });
    return mapping;
  }
}

// Changes what the server says to this page: `change` gets each object and gives another, or null for none. To be called
// before the page is opened.
export function rewrite(page, change) {
  return page.routeWebSocket(/\/signal$/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((text) => server.send(text));
    server.onMessage((text) => {
      const changed = change(JSON.parse(text));
      if (changed) socket.send(JSON.stringify(changed));
    });
  });
}
