// Package haproxy turns an ir.Node into what HAProxy reads, and what HAProxy answers back into values.
package haproxy

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"weir"
)

// Config is everything that one HAProxy process has: text that only a reload changes, and parts that the
// run-time socket can change one by one. Every list is sorted by its first field unless said otherwise.
type Config struct {
	Version Version
	// Sections is the text: global, defaults (profiles among them), health checks, frontends; in file order.
	Sections []Section
	// Backends with their servers.
	Backends []Backend
	// Maps, one file each.
	Maps []Map
	// Certs are the files that hold a chain and, unless it is an authority, its key.
	Certs []Cert
	// CrtLists say which certificates a TLS port shows, and how.
	CrtLists []CrtList
}

// Section is a part of haproxy.cfg that a reload alone can change.
type Section struct {
	// Kind is global, peers, defaults, healthcheck or frontend; Name is empty for global and the first defaults.
	Kind, Name string
	Lines      []Line
	// Spare says that the section does no harm when it stays although nobody asks for it any more: its
	// removal waits for the next reload that something else causes.
	Spare bool
}

// Line is one directive, with the object that it comes from ("" for Weir's own).
type Line struct {
	Text  string
	Owner string
}

// Backend is one pool under one profile.
type Backend struct {
	// Name is the pool's with a digest of everything that can't be changed at run time, so that a pool whose
	// profile changes is a new backend.
	Name string
	// Profile is the named defaults section; Mode is http or tcp.
	Profile, Mode string
	// Text is further directives, needed below 3.4 where profiles can't say everything.
	Text    []string
	Owner   string
	Servers []Server
	// Unpublished backends are chosen by no rule: one that is being made, or that is to go and can't yet. It is
	// never wanted, only found.
	Unpublished bool
}

// Server is one member.
type Server struct {
	// Name is the member's with a digest of Address and Options, so that a server which must be made anew is
	// made beside the old one.
	Name    string
	Address string // address:port, [address]:port for IPv6
	// Options is everything after the address that can't be changed at run time, as on a server line.
	Options string
	// Check says whether Options asks for health checks.
	Check bool
	// ID is unique within the backend.
	ID int
	// Weight is 0 to 256; 0 is drained: no new traffic.
	Weight int
	// MaxConnections is 0 for no bound.
	MaxConnections int
	// Maintenance takes all traffic and the checks away.
	Maintenance bool
	// Drained is said of a server that a HAProxy has and somebody has drained there, which Weir does by weight. It is
	// wanted only where what another hand did is left alone.
	Drained bool
	// Unproven is said of a server that a HAProxy has: it is enabled, and nobody has seen it up since. It is never
	// wanted.
	Unproven bool
	Owner    string
}

// Map is one map file.
type Map struct {
	// Path is relative to the load balancer's folder, and the name by which HAProxy knows the map.
	Path string
	// Ordered maps (regexes) are searched from the top; in others the order is that of the keys.
	Ordered bool
	Entries []Entry
}

// Entry is one line of a map: a key without blanks, a value, and the object that it comes from.
type Entry struct {
	Key, Value, Owner string
}

// Cert is one certificate file.
type Cert struct {
	Path string
	// Chain is PEM; the key is not here: the file that holds both is written by who has the keys.
	Chain weir.Chain
	// Certificate is the name of the ir.Certificate.
	Certificate string
	// Digest changes when chain or key do.
	Digest string
	// Authority files hold what is trusted and no key.
	Authority bool
	Owner     string
}

// CrtList is one list of certificates.
type CrtList struct {
	Path    string
	Entries []CrtEntry // by File, then SNI
}

// CrtEntry is one line of a crt-list.
type CrtEntry struct {
	// File is the Path of a Cert.
	File string
	// Options stand in brackets, as "alpn h2,http/1.1 ssl-min-ver TLSv1.2".
	Options string
	// SNI are the names that the entry is for; none means all names of the certificate.
	SNI   []string
	Owner string
}

// Version is a HAProxy's version, by which its capabilities are known.
type Version struct{ Major, Minor int }

// ParseVersion reads "3.4.7" or "3.4".
func ParseVersion(s string) (Version, error) {
	var v Version
	if n, err := fmt.Sscanf(s, "%d.%d", &v.Major, &v.Minor); err != nil || n != 2 {
		return Version{}, fmt.Errorf("%q is no version of HAProxy, such as 3.4.7", s)
	}
	return v, nil
}

// String gives "3.4".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// AtLeast says whether v is major.minor or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// Capabilities is what differs between the versions that Weir runs.
type Capabilities struct {
	// DynamicBackends: backends can be added and deleted at run time.
	DynamicBackends bool
	// HealthChecks: healthcheck sections, named by a server's own keyword.
	HealthChecks bool
	// SetTimeouts: http-request set-timeout knows connect and queue.
	SetTimeouts bool
	// SmallBuffers: requests kept for a retry take as much room as they need.
	SmallBuffers bool
	// AutoSNI: the Host of a request is sent as SNI where a server's line says nothing of it.
	AutoSNI bool
	// HeadersBin: headers are set and deleted by names that maps hold.
	HeadersBin bool
}

// Oldest is the oldest version that Weir runs.
var Oldest = Version{3, 2}

// Capabilities gives what the version can do.
func (v Version) Capabilities() Capabilities {
	return Capabilities{DynamicBackends: v.AtLeast(3, 4), HealthChecks: v.AtLeast(3, 4), SetTimeouts: v.AtLeast(3, 4), SmallBuffers: v.AtLeast(3, 4), AutoSNI: v.AtLeast(3, 3), HeadersBin: v.AtLeast(3, 4)}
}

// digest gives four letters and digits that differ when any part does; it ends names of things that
// HAProxy can't change in place.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return strings.ToLower(base32.HexEncoding.EncodeToString(sum[:])[:4])
}

// BaseName takes the digest off the name of a backend or server, as people know it. The name of a partner's service has two
// dots of its own.
func BaseName(name string) string {
	if strings.Count(name, ".") == 2 {
		return name
	}
	if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i == 5 {
		return name[:i]
	}
	return name
}
