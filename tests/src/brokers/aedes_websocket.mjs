// aedes over WebSocket: `node aedes_websocket.mjs HOST PORT [CERTIFICATE KEY]`; over TLS if it has a certificate.
// A client has to answer a ping before it is served.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { Aedes } from 'aedes'
import { WebSocketServer, createWebSocketStream } from 'ws'

const [host, port, certificate, key] = process.argv.slice(2)
const broker = await Aedes.createBroker()
const server = certificate
  ? https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) })
  : http.createServer()
const sockets = new WebSocketServer({ server, path: '/mqtt' })
sockets.on('connection', socket => {
  const stream = createWebSocketStream(socket)
  socket.once('pong', () => broker.handle(stream))
  socket.ping()
})
server.listen(Number(port), host, () => console.log('listening'))
