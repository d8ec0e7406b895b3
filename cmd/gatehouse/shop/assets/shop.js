// The two live panels of the page "Things to try". Everything else works without script.
"use strict";

const keep = 6; // lines shown

function printer(output) {
  const lines = [];
  return (line) => {
    lines.push(line);
    output.textContent = lines.slice(-keep).join("\n");
  };
}

const listen = document.querySelector("[data-events]");
if (listen) {
  const print = printer(document.querySelector("[data-events-output]"));
  let source = null;
  listen.addEventListener("click", () => {
    if (source) {
      source.close();
      source = null;
      listen.textContent = "Listen";
      return;
    }
    listen.textContent = "Stop";
    source = new EventSource("/events");
    source.addEventListener("view", (event) => print(`somebody looks at: ${JSON.parse(event.data).name}`));
    source.onerror = () => print("the stream broke off; trying again");
  });
}

const form = document.querySelector("[data-socket]");
if (form) {
  const print = printer(document.querySelector("[data-socket-output]"));
  const input = form.querySelector("input");
  let socket = null;
  const send = () => {
    print(`> ${input.value}`);
    socket.send(input.value);
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (socket && socket.readyState === WebSocket.OPEN) {
      send();
      return;
    }
    socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws");
    socket.onopen = send;
    socket.onmessage = (message) => print(`< ${message.data}`);
    socket.onclose = (close) => print(`closed (${close.code})`);
  });
}
