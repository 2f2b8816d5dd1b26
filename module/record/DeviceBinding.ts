/** The public key of a device, with nothing else in it. */
export type PublicJwk =
  | { readonly kty: 'EC'; readonly crv: 'P-256'; readonly x: string; readonly y: string }
  | { readonly kty: 'RSA'; readonly n: string; readonly e: string };

/** The field `_device` of a record: that the session opens with a proof of this device only. */
export interface DeviceBinding {
  /** What the browser and the bound cookie know the binding by; no credential. */
  readonly id: string;
  readonly key: PublicJwk;
  /** When it was bound, in ms since 1970. */
  readonly at: number;
  /** How many proofs have counted since: a challenge counts for one number only. */
  readonly proofs: number;
}

/** Whether a record is bound. Anything in the field counts: what is not ours must not open the session. */
export const isBound = ({ _device }: { readonly _device?: unknown }): boolean => _device !== undefined;
