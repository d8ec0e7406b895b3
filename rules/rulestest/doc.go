// Package rulestest reads and runs test files for rules: a policy or a configuration, requests, and what each should come
// to. The same files run on every rules.Engine (package rulestesting runs them as Go tests) and, without a policy of their
// own, through all that a gateway does (gatehouse test).
//
// Invariant: what a file expects is held against every outcome in every mode that it is judged in; nothing that stands in
// a file is passed over in silence.
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
// The sections before the first request:
//
//	-- policy [NAME] --      rule text; several are loaded in order. NAME is what errors call it, FILE:policy if empty
//	-- crs [VERSION] --      a CRS release at this place: the section's own text, then CRS's example setup, then its rules
//	-- limits --             `arguments N` and `json_depth N`, one a line
//	-- configuration --      instead of these three: a configuration as in gatehouse.yaml. On an engine alone it has one
//	                         application, whose policy judges all cases; in a gateway each case's Host finds its own
//	-- headers --            headers of every request that does not have them; several of a name are all added
//	-- given --              what is given for every case that says nothing else
//
// Then the cases, each of these sections in this order:
//
//	-- request NAME --       request line, headers, a blank line, the body
//	-- body [quoted] --      the body in a section of its own. quoted: each line is a Go string literal, for exact bytes
//	-- given --              what is known beside the request, below
//	-- response --           what the upstream answers; without it, phases 3 and 4 see an empty 200
//	-- expect --             ends the case
//	-- expect reference --   what the reference engine answers where it is known to differ (docs/decisions)
//
// A request line without a protocol is short for HTTP/1.1, and if neither it nor the file has a Host header, one for
// localhost is added. Content-Length is added to a request with a body if it has neither that nor Transfer-Encoding. Line
// ends in the head are CRLF on the wire; those in a body are sent as written.
//
// What can be given, one a line. A gateway takes the client alone: the rest is its own to know.
//
//	client ADDRESS           198.51.100.7 if not said
//	time TIME                as in 2027-06-30T23:59:59Z; 2027-01-15T12:00:00Z if not said
//	traffic WORD             auto, api, websocket or grpc; auto if not said
//	application NAME         what rules see as the application's name; test if not said
//	response headers         the reply's body is not inspected: phase 4 does not run
//
// What can be expected, one a line; the verdict comes first and is required:
//
//	pass                     nothing refused the request
//	block [STATUS]           it was refused, with that status; in mode detect it would have been
//	detect [STATUS]          a rule in stage detect matched; in a gateway also: mode block would have refused it
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
//	tag TAG                  a rule that matched has this tag
//	score NAME [>=] N        inbound, outbound, detection, or a category such as sql_injection
//	threshold NAME N         inbound or outbound
//	exclusion NAME           that exclusion applied
//	exclusions NAME ...      these exclusions applied and no others; `exclusions` alone: none
//	inspected                no rule switched inspection off
//	uninspected              one did
//	in MODE LINE             in that mode, block or detect, one of the lines above but a verdict; in the other it says nothing
//
// On an engine, each case is judged in mode block and again in detect, and every expectation has to be met in both. In
// detect no phase may interrupt, and the result has to name the interruption of block. A gateway judges a case once, in the
// mode of its application and route; there block is block, and detect is detect.
package rulestest
