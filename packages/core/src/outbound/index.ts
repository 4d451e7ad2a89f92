export { type OutboundPolicy, parseOutboundUrl } from './parse-outbound-url.ts';
export { refuseAddress } from './refuse-address.ts';
export { type Lookup, type ResolvedAddress, resolveOutbound } from './resolve-outbound.ts';
