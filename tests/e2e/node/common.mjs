// What the client scripts share. Clients are loaded from the folder named by NODE_CLIENTS.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

export const load = createRequire(process.env.NODE_CLIENTS + '/');
export const port = Number(process.env.PORT);
export const socketPath = process.env.SOCKET;
export { assert };

// Polls until `probe` is true; rejects after ten seconds.
export async function eventually(probe, what) {
  const deadline = Date.now() + 10_000;
  while (!(await probe())) {
    assert.ok(Date.now() < deadline, `never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
