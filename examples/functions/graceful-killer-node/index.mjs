import { setTimeout as sleep } from 'node:timers/promises';

export async function handler() {
  let killNow = false;
  process.once('SIGTERM', () => {
    console.log('do something before shutdown.');
    killNow = true;
  });
  console.log('working');
  while (!killNow) await sleep(100);
  console.log('Graceful shutdown.');
  return 'END';
}
