// A WebSocket that comes back by itself after it was lost.

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 4000;

export class Socket {
  /**
   * @param {string} path Path and query below the page.
   * @param {{onMessage: (data: string | ArrayBuffer) => void, onOpen?: () => void,
   *          onLost?: (code: number) => void}} hooks
   */
  constructor(path, hooks) {
    this.path = path;
    this.hooks = hooks;
    this.waitMs = FIRST_WAIT_MS;
    this.closed = false;
    this.connect();
  }

  connect() {
    const address = new URL(this.path, document.baseURI);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.waitMs = FIRST_WAIT_MS;
      this.hooks.onOpen?.();
    };
    socket.onmessage = (event) => this.hooks.onMessage(event.data);
    socket.onclose = ({ code }) => {
      if (this.closed) return;
      this.hooks.onLost?.(code);
      if (this.closed) return;
      this.timer = setTimeout(() => this.connect(), this.waitMs);
      this.waitMs = Math.min(2 * this.waitMs, LONGEST_WAIT_MS);
    };
    this.socket = socket;
  }

  get isOpen() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  /** Bytes that were given to it, and have not left yet. */
  get waitingBytes() {
    return this.socket.bufferedAmount;
  }

  send(data) {
    if (this.isOpen) this.socket.send(data);
  }

  sendMessage(values) {
    this.send(JSON.stringify(values));
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket.close();
  }
}
