/** A gRPC service without a schema: messages are texts. */
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js'

const serialize = (text: string): Buffer => Buffer.from(text)
const deserialize = (bytes: Buffer): string => bytes.toString()

const method = (
  name: string,
  requestStream: boolean,
  responseStream: boolean,
): MethodDefinition<string, string> => ({
  path: `/weir.Texts/${name}`,
  requestStream,
  responseStream,
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
})

export const TEXTS = {
  /** The text again, with what the metadata said of `asked`. */
  Echo: method('Echo', false, false),
  /** `N words`: so many messages of them. */
  Repeat: method('Repeat', false, true),
  /** How many messages and characters came. */
  Count: method('Count', true, false),
  /** Each text again, until the client has ended. */
  Chat: method('Chat', true, true),
  /** FAILED_PRECONDITION, with details. */
  Refuse: method('Refuse', false, false),
  /** One message, then it fails. */
  Break: method('Break', false, true),
  /** Nothing ever comes. */
  Wait: method('Wait', false, false),
} satisfies ServiceDefinition

/** Of status details (`grpc-status-details-bin`): any bytes. */
export const DETAILS = Buffer.from([0, 1, 2, 0xff, 0x80])
