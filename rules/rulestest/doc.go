// Package rulestest reads and runs test files for rules: a policy, requests, and what each should come to. The same files
// run on every rules.Engine, and, without a policy of their own, against an operator's configuration.
//
// # Format
//
// A file is UTF-8 text in sections, each under a line `-- WHAT ... --`. Lines before the first section are comments, and
// so are lines that begin with # in expect sections. Sections end where the next begins; blank lines at their end do not
// count.
//
//	Search terms are not SQL.
//
//	-- policy --
//	SecRule ARGS_GET:q "@rx (?i)union\s+select" "id:1,phase:1,deny,status:403,log,msg:'SQL'"
//
//	-- request a clean search --
//	GET /search?q=union+jack HTTP/1.1
//	Host: shop.example.com
//
//	-- expect --
//	pass
//	absent 1
//
//	-- request an attack --
//	GET /search?q=union+select
//
//	-- expect --
//	block 403
//	by 1
//	match 1 ARGS_GET:q
//
// The sections:
//
//	-- policy [NAME] --      rule text; several are loaded in order. NAME is what errors call it, FILE:policy if empty
//	-- crs [VERSION] --      a CRS release at this place: the section's own text, then CRS's example setup, then its rules
//	-- limits --             `arguments N` and `json_depth N`, one a line
//	-- request NAME --       begins a case: request line, headers, a blank line, the body
//	-- body [quoted] --      the body in a section of its own. quoted: each line is a Go string literal, for exact bytes
//	-- response --           what the upstream answers; without it, phases 3 and 4 see an empty 200
//	-- expect --             ends the case
//
// Policy, crs and limits come before the first request. A request line without a protocol is short for HTTP/1.1, and if no
// Host header is there either, one for localhost is added. Content-Length is added to a request with a body if it has
// neither that nor Transfer-Encoding. Line ends in the head are CRLF on the wire; those in a body are sent as written.
//
// What can be expected, one a line; the verdict comes first and is required:
//
//	pass                     nothing refused the request
//	block [STATUS]           it was refused, with that status
//	detect [STATUS]          in mode detect: block would have refused it
//	error                    inspection failed
//	by RULE                  the rule that refused it
//	phase N                  the phase in which it did
//	action WORD              deny, drop or redirect
//	location URL             where a redirect leads
//	matches RULE ...         these rules matched, perhaps among others
//	only RULE ...            these rules matched and no others; `only` alone: none
//	absent RULE ...          these did not match
//	match RULE TARGET        the rule matched there; TARGET is written as in exclusions (query:q) or as SecLang (ARGS_GET:q)
//	message RULE TEXT        its message
//	score NAME [>=] N        inbound, outbound, detection, or a category such as sql_injection
//	exclusion NAME           that exclusion applied
//	uninspected              a rule switched inspection off
//
// Run judges each case in mode block, and again in detect, where the caller must see no interruption and the result must
// name the same one; a case that expects detect runs in detect alone.
package rulestest
