// JsSIP with libwebrtc (@roamhq/wrtc) as a phone without a screen:
//
//     phone.js WS_URL DOMAIN USER PASSWORD SAYS.wav HEARD.wav [CALLEE]
//
// Registers, calls CALLEE or answers whoever calls, says a WAV file (8 kHz, 16 bit, mono) again and again, hangs up after
// SECONDS and writes what it heard. What happens is a line each.

"use strict";

const fs = require("fs");
const wrtc = require("@roamhq/wrtc");
const WebSocket = require("ws");

const SECONDS = 9;
const RATE = 8000;

const [url, domain, user, password, says, heard, callee] = process.argv.slice(2);

// What JsSIP expects of a browser.
global.window = global;
for (const name of ["RTCPeerConnection", "RTCSessionDescription", "RTCIceCandidate", "MediaStream"]) {
  global[name] = wrtc[name];
}
Object.defineProperty(globalThis, "navigator", { value: { mediaDevices: {} }, configurable: true });
const JsSIP = require("jssip");

/** The connection that JsSIP asks for, by the package ws. */
class Socket {
  constructor(url) {
    Object.assign(this, { url, via_transport: "WS", sip_uri: `sip:${domain};transport=ws` });
  }
  connect() {
    this.socket = new WebSocket(this.url, "sip");
    this.socket.on("open", () => this.onconnect());
    this.socket.on("message", (data) => this.ondata(data.toString()));
    this.socket.on("close", (code, reason) => this.ondisconnect(false, code, String(reason)));
    this.socket.on("error", (error) => end(`no connection: ${error.message}`, 1));
  }
  disconnect() {
    if (this.socket) this.socket.close();
  }
  send(message) {
    this.socket.send(String(message));
    return true;
  }
  isConnected() {
    return Boolean(this.socket) && this.socket.readyState === 1;
  }
  isConnecting() {
    return Boolean(this.socket) && this.socket.readyState === 0;
  }
}

/** A stream of the WAV file, ten milliseconds at a time, as many as the clock says. */
function voice() {
  const bytes = fs.readFileSync(says);
  const samples = new Int16Array(bytes.buffer.slice(bytes.byteOffset + 44, bytes.byteOffset + bytes.length));
  const source = new wrtc.nonstandard.RTCAudioSource();
  const count = RATE / 100;
  const began = performance.now();
  let at = 0;
  setInterval(() => {
    while ((at * 1000) / RATE < performance.now() - began) {
      const next = new Int16Array(count);
      for (let n = 0; n < count; n++) next[n] = samples[(at + n) % samples.length];
      at += count;
      source.onData({ samples: next, sampleRate: RATE, bitsPerSample: 16, channelCount: 1, numberOfFrames: count });
    }
  }, 5);
  const stream = new wrtc.MediaStream();
  stream.addTrack(source.createTrack());
  return stream;
}

const recording = [];

/** Keeps what comes, at 8 kHz. */
function listen(connection) {
  connection.addEventListener("track", ({ track }) => {
    new wrtc.nonstandard.RTCAudioSink(track).ondata = ({ samples, sampleRate, channelCount }) => {
      const step = (sampleRate / RATE) * channelCount;
      for (let at = 0; at + step <= samples.length; at += step) {
        let sum = 0;
        for (let n = 0; n < step; n++) sum += samples[at + n];
        recording.push(Math.round(sum / step));
      }
    };
  });
}

function wav(samples) {
  const bytes = Buffer.alloc(44 + 2 * samples.length);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + 2 * samples.length, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(RATE, 24);
  bytes.writeUInt32LE(2 * RATE, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(2 * samples.length, 40);
  samples.forEach((sample, n) => bytes.writeInt16LE(sample, 44 + 2 * n));
  return bytes;
}

function end(words, code) {
  console.log(words);
  fs.writeFileSync(heard, wav(recording));
  setTimeout(() => process.exit(code), 300);
}

const options = { mediaStream: voice(), pcConfig: { iceServers: [] } };
const agent = new JsSIP.UA({
  sockets: [new Socket(url)],
  uri: `sip:${user}@${domain}`,
  password,
  session_timers: false,
  register_expires: 120,
});

agent.on("registrationFailed", ({ cause }) => end(`not registered: ${cause}`, 1));
agent.on("registered", () => {
  console.log("registered");
  if (callee) agent.call(callee, options);
});
agent.on("newRTCSession", ({ session, originator }) => {
  session.on("peerconnection", ({ peerconnection }) => listen(peerconnection));
  session.on("failed", ({ cause }) => end(`failed: ${cause}`, 1));
  session.on("confirmed", () => {
    console.log("answered");
    setTimeout(() => session.terminate(), SECONDS * 1000);
  });
  session.on("ended", () => end("ended", 0));
  if (originator === "local") {
    listen(session.connection);
  } else {
    session.answer(options);
  }
});
agent.start();
setTimeout(() => end("nothing happened for a minute", 1), 60000);
