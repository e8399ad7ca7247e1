/** Why an order came to nothing, whom that concerns, and what people can do about it. */

/** Error types are those of RFC 8555, 6.7. */
export type AcmeCause =
  | 'connection' // the server could not reach the name at port 80
  | 'dns' // the server could not look the name up
  | 'unauthorized' // the name answered, and it was not us
  | 'caa' // a CAA record forbids this server
  | 'rejected' // the server gives none for such a name
  | 'invalid' // anything else that became of the order
  | 'timeout' // it took too long
  | 'certificate' // what came is no certificate for the name and its key
  | 'unused' // it lies in the directory, and something else is used
  | 'rate-limited' // too much was asked for lately
  | 'unreachable' // the server cannot be reached
  | 'untrusted' // the server's own certificate is not
  | 'server' // it fails, or speaks no ACME
  | 'account' // it does not want us
  | 'files' // the directory cannot be written

interface Meaning {
  /** Whom it keeps from another attempt: this name, or all. */
  readonly concerns: 'name' | 'all'
  readonly what: string
  readonly advice: string
}

export const CAUSES: Readonly<Record<AcmeCause, Meaning>> = {
  connection: {
    concerns: 'name',
    what: 'the server could not reach it',
    advice: 'port 80 of that name must lead to this node, also through firewalls and NAT',
  },
  dns: {
    concerns: 'name',
    what: 'the server could not look it up',
    advice: "its A and AAAA records must be this node's addresses",
  },
  unauthorized: {
    concerns: 'name',
    what: 'the server asked there and got another answer than ours',
    advice: "all A and AAAA records must be this node's, and nothing else may answer at port 80",
  },
  caa: {
    concerns: 'name',
    what: 'a CAA record forbids it',
    advice: 'add the server to the CAA records, or remove them',
  },
  rejected: {
    concerns: 'name',
    what: 'the server gives none for this name',
    advice: 'leave it out of acme.hosts, and put a pair of your own into the directory',
  },
  invalid: {
    concerns: 'name',
    what: 'the order failed',
    advice: 'see what the server says',
  },
  timeout: {
    concerns: 'name',
    what: 'the order took too long',
    advice: 'look whether the name can be reached at port 80, and how the server is',
  },
  certificate: {
    concerns: 'name',
    what: 'what the server gave cannot be used',
    advice: 'see whether the clock is right, and acme.directory',
  },
  unused: {
    concerns: 'name',
    what: 'one was got, and another is in use',
    advice: 'remove what stands in its way in the directory of certificates',
  },
  'rate-limited': {
    concerns: 'all',
    what: 'too much was asked of the server lately',
    advice: 'wait; try with directory: staging',
  },
  unreachable: {
    concerns: 'all',
    what: 'the server cannot be reached',
    advice: 'look at acme.directory, and whether this machine may connect to it',
  },
  untrusted: {
    concerns: 'all',
    what: "the server's own certificate is not trusted",
    advice: 'acme.ca names what it is checked by',
  },
  server: {
    concerns: 'all',
    what: 'the server fails',
    advice: 'look at acme.directory, or wait',
  },
  account: {
    concerns: 'all',
    what: 'the server refuses the account',
    advice:
      "look at acme.email, and whether the server's terms or its way to accounts are others now",
  },
  files: {
    concerns: 'all',
    what: 'the directory of certificates cannot be used',
    advice: 'the node must be able to read and write there',
  },
}
