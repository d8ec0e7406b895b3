// Package coraza evaluates policies with Coraza, as the reference for what a rule set means. It is the only importer of
// coraza/v3.
//
// Invariants:
//   - The same request gives the same result every time. Values under a repeated name are each looked at, whatever the
//     order in which Coraza visits them.
//   - A panic or an error in Coraza is an error of the transaction, never a verdict.
//   - Nothing here opens a file or a connection: rule text and data come from the policy and from the embedded CRS.
//
// # Bodies
//
// The driver parses bodies itself (package body) and gives the values to Coraza, which is not shown the bytes: none of
// its limits, buffers and temporary files is in play. Rules choose the processor as usual, by
// ctl:requestBodyProcessor=NAME in phase 1. NAME is one of URLENCODED, MULTIPART, JSON, NDJSON, XML, TEXT, RAW; see
// package body. Without a choice, forms and multipart are parsed by their Content-Type, and other bodies are not parsed
// unless ctl:forceRequestBodyVariable=On asks for URLENCODED.
// What could not be parsed sets REQBODY_ERROR, what was over Limits.Arguments sets ARGUMENTS_LIMIT_REACHED, and doubts
// about a multipart body set MULTIPART_STRICT_ERROR: the policy's base rules say what follows from it.
// A truncated body sets INBOUND_DATA_ERROR, and its missing end sets none of the others for URLENCODED, MULTIPART,
// NDJSON, TEXT and RAW.
//
// # Variables for lowered text
//
// Set before phase 1, all in TX: gatehouse_detect (0 or 1), gatehouse_host, gatehouse_path, gatehouse_application,
// gatehouse_route, gatehouse_traffic, and gatehouse_now (Unix seconds of Request.Time). TIME, TIME_EPOCH and their
// kin are those of Request.Time in UTC.
//
// # Text
//
// In front of the policy's text the driver sets SecRuleEngine On, body access On, the limits, and default actions
// (log,auditlog,pass) for the phases 1, 3 and 4 if the text has none: rules are logged unless they say nolog. The text may
// use the directives that are about rules; what opens files, reaches the network or writes logs is a load error, as are
// rules without an id and statuses outside 200 to 599.
//
// # Detect
//
// Text that turns TX:gatehouse_detect=1 into ctl:ruleEngine=DetectionOnly sees every rule run although an earlier one
// would have refused the request. Coraza ignores allow in that mode, and the effects of what allow would have skipped
// cannot be taken back. So for text in which mode block could run differently (an allow action, or a ctl:ruleEngine
// other than Off), gatehouse_detect stays 0, the request is judged as in block, and the interruption is kept from the
// caller. Either way Result.Interruption is exactly that of mode block.
package coraza
