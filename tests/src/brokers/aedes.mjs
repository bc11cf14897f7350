// aedes on a TCP port: `node aedes.mjs HOST PORT`. A login has to be u with the password p; none is needed.
import { createServer } from 'node:net'
import { Aedes } from 'aedes'

const [host, port] = process.argv.slice(2)
const broker = await Aedes.createBroker({
  authenticate (client, user, password, done) {
    if (user === undefined || user === null || (user === 'u' && String(password) === 'p')) return done(null, true)
    done(Object.assign(new Error('wrong login'), { returnCode: 4 }), null)
  },
  authorizePublish (client, packet, done) {
    done(packet.topic === 'forbidden' ? new Error('forbidden') : null)
  }
})
createServer(broker.handle).listen(Number(port), host, () => console.log('listening'))
