/** The handle of a flow: its slot in the table and the serial number of its admission. */

declare const brand: unique symbol

/**
 * Never two flows of a table at one time, and not the same number again before 2^32 admissions:
 * what is late for a closed flow finds nobody, even when its slot has a new owner (udp W11).
 */
export type FlowId = number & { readonly [brand]: 'FlowId' }

/** `slot` is below {@link SLOTS_MAX}, `serial` an unsigned 32-bit number. */
export const flowIdOf = (slot: number, serial: number): FlowId =>
  (serial * SLOTS_MAX + slot) as FlowId

/** Small and dense: a shell can keep what belongs to a flow in a plain array. */
export const slotOf = (id: FlowId): number => id - serialOf(id) * SLOTS_MAX // `%` takes three times as long

/** Unsigned, 32 bits. */
export const serialOf = (id: FlowId): number => Math.floor(id / SLOTS_MAX)

/** The most flows a table can hold: 1,048,576. */
export const SLOTS_MAX = 2 ** 20
