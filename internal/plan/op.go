package plan

import (
	"weir"
	"weir/internal/haproxy"
)

// Kind says what an operation does.
type Kind string

// The operations, each with the fields of Op that it uses besides Owner.
const (
	// NewCA makes an empty authority file known: Path.
	NewCA Kind = "new-ca"
	// SetCA fills an authority file from disk and commits it: Path, Digest, Certificate.
	SetCA Kind = "set-ca"
	// DelCA forgets an authority file: Path.
	DelCA Kind = "del-ca"
	// NewCert makes an empty certificate known: Path.
	NewCert Kind = "new-cert"
	// SetCert fills a certificate from its file and commits it: Path, Digest, Certificate.
	SetCert Kind = "set-cert"
	// DelCert forgets a certificate: Path.
	DelCert Kind = "del-cert"
	// AddCrt adds a line to a crt-list: Path, File, Options, SNI.
	AddCrt Kind = "add-crt"
	// DelCrt takes the line with just these File, Options and SNI from a crt-list: Path, File, Options, SNI.
	DelCrt Kind = "del-crt"

	// AddBackend makes an unpublished backend: Backend, Profile, Mode.
	AddBackend Kind = "add-backend"
	// PublishBackend lets rules choose a backend: Backend.
	PublishBackend Kind = "publish-backend"
	// UnpublishBackend lets no rule choose a backend any more: Backend.
	UnpublishBackend Kind = "unpublish-backend"
	// RemoveBackend deletes an unpublished backend, once it can be removed: Backend.
	RemoveBackend Kind = "remove-backend"

	// AddServer makes a server in maintenance: Backend, Server, Address, Options, Check, ID, Weight, MaxConnections.
	AddServer Kind = "add-server"
	// EnableHealth lets the checks of a server run: Backend, Server.
	EnableHealth Kind = "enable-health"
	// EnableServer takes a server out of maintenance: Backend, Server.
	EnableServer Kind = "enable-server"
	// DisableServer puts a server into maintenance; connections go on: Backend, Server.
	DisableServer Kind = "disable-server"
	// RemoveServer deletes a server in maintenance, once its connections have ended or a bound is reached:
	// Backend, Server.
	RemoveServer Kind = "remove-server"
	// SetWeight changes a server's weight: Backend, Server, Weight.
	SetWeight Kind = "set-weight"
	// SetMaxConnections changes a server's bound: Backend, Server, MaxConnections.
	SetMaxConnections Kind = "set-maxconn"
	// WaitUp waits until the checks have found all of the servers up, or a bound that follows from the checks is
	// reached: Backend, Servers. Its end at the bound is no failure.
	WaitUp Kind = "wait-up"

	// MapAdd adds an entry: Path, Key, Value.
	MapAdd Kind = "map-add"
	// MapSet gives an entry another value: Path, Key, Value.
	MapSet Kind = "map-set"
	// MapDel takes an entry away: Path, Key.
	MapDel Kind = "map-del"
	// MapSwap replaces all entries of a map in one instant: Path, Entries.
	MapSwap Kind = "map-swap"
)

// Op is one operation on a running HAProxy. String gives it as a run-time command.
type Op struct {
	Kind Kind `json:"op"`
	// Owner is the object that asks for it, as "Pool/web-az1"; "" is Weir itself.
	Owner string `json:"owner,omitempty"`

	// Backend and Server are full names, with digests; Servers are names within Backend.
	Backend string   `json:"backend,omitempty"`
	Server  string   `json:"server,omitempty"`
	Servers []string `json:"servers,omitempty"`
	Profile string   `json:"profile,omitempty"`
	Mode    string   `json:"mode,omitempty"`
	// Address, Options, Check, ID, Weight and MaxConnections are those of haproxy.Server.
	Address        string `json:"address,omitempty"`
	Options        string `json:"options,omitempty"` // a server's, or a crt-list line's
	Check          bool   `json:"check,omitempty"`
	ID             int    `json:"id,omitempty"`
	Weight         int    `json:"weight,omitempty"`
	MaxConnections int    `json:"maxConnections,omitempty"`

	// Path is the map, the crt-list, or the certificate's or authority's file, as HAProxy knows it.
	Path string `json:"path,omitempty"`
	// Key and Value are a map entry's; Entries are all that a map has afterwards.
	Key     string          `json:"key,omitempty"`
	Value   string          `json:"value,omitempty"`
	Entries []haproxy.Entry `json:"entries,omitempty"`
	// File and SNI are a crt-list line's.
	File string   `json:"file,omitempty"`
	SNI  []string `json:"sni,omitempty"`
	// Digest tells one content of a file from another; Certificate is the name of the ir.Certificate.
	Digest      string `json:"digest,omitempty"`
	Certificate string `json:"certificate,omitempty"`

	// Pools are the names of the pools that a map entry's new value leads to, for people.
	Pools []string `json:"pools,omitempty"`
	// Changes is how many entries a MapSwap adds, changes or removes, for people.
	Changes int `json:"changes,omitempty"`

	// chain goes with SetCert and SetCA, for Apply; who carries them out reads the file.
	chain weir.Chain
}
