// SPDX-License-Identifier: BSD-2-Clause
// Rooms of two with socket.io, as small as they can be. Arguments: address, port.
"use strict";

const { createServer } = require("node:http");
const { Server } = require("socket.io");

const CAPACITY = 2;
const [host, port] = process.argv.slice(2);
const http = createServer();
const io = new Server(http, { serveClient: false });

io.on("connection", (socket) => {
  socket.on("join", (room) => {
    if ((io.sockets.adapter.rooms.get(room)?.size ?? 0) >= CAPACITY) {
      socket.emit("full", room, socket.id);
      return;
    }
    socket.join(room);
    socket.emit("joined", room, socket.id);
    socket.to(room).emit("otherjoin", room, socket.id);
  });
  socket.on("leave", (room) => {
    socket.leave(room);
    socket.emit("leaved", room, socket.id);
    socket.to(room).emit("bye", room, socket.id);
  });
  socket.on("message", (room, data) => {
    if (socket.rooms.has(room)) socket.to(room).emit("message", room, data);
  });
});
http.listen(Number(port), host);
