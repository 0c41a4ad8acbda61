// BullMQ: peer.mjs PORT RESULTS worker | enqueue COUNT AT_ONCE | ping COUNT
// RESULTS 1: done jobs are kept with what they returned (BullMQ's default), 0: they are removed. 100 jobs at a time.
import { Queue, QueueEvents, Worker } from 'bullmq'

const [port, results, mode, count, atOnce] = process.argv.slice(2)
const connection = { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null }
const kill = process.argv.includes('kill')       // the least it takes to take over a dead worker's jobs

const batch = (n) => Array.from({ length: n }, () => ({ name: 'noop', data: {} }))

if (mode === 'worker') {
  new Worker('bench', async () => null, {
    connection, concurrency: 100, removeOnComplete: results === '1' ? undefined : { count: 0 },
    ...(kill ? { lockDuration: 2000, stalledInterval: 1000, maxStalledCount: 1000 } : {})
  })
} else if (mode === 'enqueue') {
  const queue = new Queue('bench', { connection })
  await queue.waitUntilReady()
  const n = Number(atOnce), jobs = batch(n)
  const began = process.hrtime.bigint(), used = process.cpuUsage()
  for (let sent = 0; sent < Number(count); sent += n) await queue.addBulk(jobs)
  const cpu = process.cpuUsage(used)
  console.log(Number(process.hrtime.bigint() - began) / 1e9, (cpu.user + cpu.system) / 1e6)
  await queue.close()
} else {
  const queue = new Queue('bench', { connection }), events = new QueueEvents('bench', { connection })
  await events.waitUntilReady()
  for (let i = -3; i < Number(count); i++) {
    const began = process.hrtime.bigint()
    const job = await queue.add('noop', {})
    await job.waitUntilFinished(events)
    if (i >= 0) console.log(Number(process.hrtime.bigint() - began) / 1e3)
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
  await queue.close()
  await events.close()
}
