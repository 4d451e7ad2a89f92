import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';

/** A program that starts the embedded database, says so, and ends it when it is told to. */
const [directory = ''] = process.argv.slice(2);
process.on('SIGINT', () => {});
try {
  const server = await startEmbeddedPostgres({ directory, durable: false });
  process.stdout.write(`${JSON.stringify({ url: server.url })}\n`);
  process.stdin.on('end', () => {
    void server.close();
  });
  process.stdin.resume();
} catch (error) {
  process.stdout.write(`${JSON.stringify({ error: String(error) })}\n`);
}
