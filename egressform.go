package weir

import "regexp"

// What load balancers refuse of calls to partners before they look for a rule, and take out of them, as expressions that PCRE
// and RE2 read alike. Nothing in them is repeated without a bound: PCRE that runs out of its stack finds nothing, and a call
// could be as long as that takes.
const (
	// EgressClimb is a dot segment, plain or encoded even twice, that could lead out of where it stands: for a server that
	// decodes by digits, by UTF-8 that is longer than it may be or by %u, and that ends an element at a semicolon, or the path
	// at what stands for a zero byte, a question mark or a number sign.
	EgressClimb = `(?i)(^|` + oneSlash + `)(` + oneDot + `){1,2}(` + oneSlash + `|;|` + percent + `((3|` + percent + `33)(b|f|` + percent + `[46][26])|00|20|23)|$)`
	// EgressInside is the name of a header by which whoever stands between an application and a partner says where the
	// application is or what it asked for, or one for the load balancer itself.
	EgressInside = `(^|[-_])forwarded([-_]|$)|(^|[-_])(client|connecting|originating|proxyuser|real|remote|socket)[-_]?(ip|addr)$|^x-envoy-external-address$|^via$|^proxy([-_]|$)|^http2-settings$|^keep-alive$` +
		`|^x[-_](original|rewrite)[-_](url|uri|path|host|method)$|^x[-_](http[-_])?host([-_]override)?$`
	// EgressMethods is, in a list with commas, the name of a header by which a call asks for another method than it has.
	EgressMethods = `(?i)(^|,)x[-_](http[-_])?method([-_]override)?(,|$)`

	percent  = `%(25){0,3}`
	oneDot   = `\.|` + percent + `(2|` + percent + `32)(e|` + percent + `[46]5)|` + percent + `(c0|e0` + percent + `80)` + percent + `ae|%u002e`
	oneSlash = `/|\\|` + percent + `((2|` + percent + `32)(f|` + percent + `[46]6)|(5|` + percent + `35)(c|` + percent + `[46]3))|` + percent + `(c0|e0` + percent + `80)` + percent + `af|` + percent + `c1` + percent + `9c|%u00(2f|5c)`
)

var (
	egressClimb   = regexp.MustCompile(EgressClimb)
	egressInside  = regexp.MustCompile(`(?i)` + EgressInside)
	egressMethods = regexp.MustCompile(EgressMethods)
)

// EgressClimbs says that the path of a call has a dot segment by which it could lead elsewhere, for which it is refused.
func EgressClimbs(path string) bool { return egressClimb.MatchString(path) }

// EgressHides says that partners are not sent a header of this name.
func EgressHides(name string) bool { return egressInside.MatchString(name) }

// EgressOverrides says that a header of this name asks for another method, which calls that rules let through by their
// method are refused for.
func EgressOverrides(name string) bool { return egressMethods.MatchString(name) }
