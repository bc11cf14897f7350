// A node of aedes on a loopback port, with its sessions in Redis: `node aedes.mjs ID PORT REDIS-PORT`.
import { createServer } from 'node:net'
import { Aedes } from 'aedes'
import redisMqemitter from 'mqemitter-redis'
import redisPersistence from 'aedes-persistence-redis'

const [id, port, redis] = process.argv.slice(2)
const host = '127.0.0.1'
const connection = { host, port: Number(redis) }
const broker = await Aedes.createBroker({
  id,
  mq: redisMqemitter(connection),
  persistence: redisPersistence(connection)
})
createServer(broker.handle).listen(Number(port), host, () => console.log('listening'))
