/** What a node says of HTTP as a whole: the access log, and how much it takes on. */
import { byDefault, object, required } from '../schema/objects.ts'
import { integer, oneOf, sizeWithin, text } from '../schema/scalars.ts'
import { mapped, type Shape } from '../schema/shape.ts'
import type { AccessLogSettings, NodeLimits } from './settings.ts'

const KI = 1024
const GI = 1024 ** 3

export const accessLog: Shape<AccessLogSettings> = mapped(
  object(
    'access_log',
    'an access_log block',
    {
      file: required(
        text('the path of a file'),
        'Where a line is written for each request; relative to the node file.',
      ),
      format: byDefault(
        oneOf(['json', 'combined'], { hints: { common: 'write combined', clf: 'write combined' } }),
        'json',
        'A JSON object with all that is known, or the Combined Log Format.',
      ),
      max_bytes: byDefault(
        sizeWithin(64 * KI, 1024 * GI),
        '64Mi',
        'Size at which the file is put aside and a new one begun; at least 64Ki.',
      ),
      keep: byDefault(integer(0, 1000), 3, 'Files put aside that are kept: FILE.1 is the latest.'),
    },
    { path: 'write file', directory: 'write file: DIRECTORY/access.log' },
  ),
  (read): AccessLogSettings => ({
    file: read.file,
    format: read.format,
    bytesMax: read.max_bytes,
    keep: read.keep,
  }),
)

export const limits: Shape<NodeLimits> = mapped(
  object('limits', 'a limits block', {
    http_clients: byDefault(
      integer(1, 1_000_000),
      50_000,
      'Connections of HTTP/1.1 and streams of HTTP/2 at one time; more are refused.',
    ),
    held_requests: byDefault(
      integer(0, 1_000_000),
      1_000,
      'Requests that wait at one time while their services are woken; more are 503.',
    ),
    held_bytes: byDefault(
      sizeWithin(64 * KI, GI),
      '16Mi',
      'What those may have sent by then, together; from 64Ki to 1Gi.',
    ),
  }),
  (read): NodeLimits => ({
    httpClientsMax: read.http_clients,
    heldRequestsMax: read.held_requests,
    heldBytesMax: read.held_bytes,
  }),
)
