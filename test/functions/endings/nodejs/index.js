// What a function can do with its end: each behaviour by its name.
const { spawn } = require('node:child_process');

// A child in the same group that has something to do when it is signalled.
const FOSTER = 'trap "sleep 0.2; echo cleaned up; exit 0" TERM; while :; do sleep 0.05; done';
const report = async ({ url }, what) => url && (await fetch(`${url}/${what}`)).text();

exports.handler = async (event) => {
  let stopped = false;
  process.removeAllListeners('SIGTERM'); // a warm instance remembers what the event before has set
  const listen = (listener) => process.on('SIGTERM', listener);
  if (event.do === 'ignores') listen(() => undefined);
  if (event.do === 'tidies' || event.do === 'reports') listen(() => (stopped = true));
  const cleanUp = () => setTimeout(() => console.log('cleaned up'), 200);
  if (event.do === 'cleans') listen(() => ((stopped = true), cleanUp()));
  if (event.do === 'fosters') spawn('sh', ['-c', FOSTER], { stdio: ['ignore', 'inherit', 'inherit'] }).unref();
  if (event.do === 'leaves') listen(() => process.exit(0));
  if (event.do === 'spawns') for (const detached of [false, true]) spawn('sleep', [event.mark], { detached, stdio: 'ignore' }).unref();
  console.log('begun');
  await report(event, 'begun');
  if (event.do === 'floods') for (let n = 0; n < 12_000; n++) console.log('line', n);
  const until = performance.now() + event.ms;
  while (!stopped && (performance.now() < until || event.do === 'overstays')) await new Promise((done) => setTimeout(done, 10));
  await report(event, stopped ? 'signalled' : 'finished');
  if (stopped) return 'END';
  if (event.do === 'throws') throw new Error('on purpose');
  if (event.do === 'exits 0') process.exit(0);
  if (event.do === 'exits 1') process.exit(1);
  if (event.do === 'crashes') process.kill(process.pid, 'SIGSEGV');
  const eaten = [];
  while (event.do === 'devours') {
    eaten.push(Buffer.alloc(8 * 1024 * 1024, 1));
    await new Promise((done) => setTimeout(done, 5));
  }
  return 'DONE';
};
