import express from 'express';

const app = express();
app.use(express.json());
let stopped = false;

app.post('/event-invoke', async (request, response) => {
  const { body } = request;
  if (body.do === 'fail') throw new Error('went wrong');
  if (body.do === 'sleep') {
    console.log('sleeping');
    while (!stopped) await new Promise((resolve) => setTimeout(resolve, 50));
    return response.send('END');
  }
  response.json({ id: request.get('x-scf-request-id'), n: body.n });
});

process.on('SIGTERM', () => {
  console.log('asked to stop');
  stopped = true;
});
app.listen(process.env.PORT, '0.0.0.0');
