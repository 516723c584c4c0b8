package server

import (
	"log/slog"
	"net/netip"
	"time"

	"weir/internal/store"
)

// Options say where a control plane keeps its things and listens.
type Options struct {
	// Dir is the data folder; it is made when absent.
	Dir string
	// Cluster, when set, is an etcd outside that holds the store instead of the data folder; several servers may
	// share it.
	Cluster *Cluster
	// Grow lets an embedded store have members on other machines.
	Grow Grow
	// Advertise is the URL at which the other servers of the store reach this one; empty is worked out from Names
	// and Listen.
	Advertise string
	// Listen is the address of API and link, host:port; port 0 picks one.
	Listen string
	// People, when set, is a listener for people's browsers besides Listen.
	People *People
	// MetricsListen is the address of /metrics, /healthz and /readyz, without TLS; empty for none.
	MetricsListen string
	// Prometheus is the URL of one that scrapes the store's servers, to be asked for figures of more than the last hour;
	// empty for none.
	Prometheus string
	// Names and Addresses are what the server's certificate is for, besides localhost and Listen's own.
	Names     []string
	Addresses []netip.Addr
	// SealingKey is the text of the key that seals secrets; empty keeps one in the data folder.
	SealingKey string
	// SealingKeyFile is the file that holds it instead; it is read again when it changes.
	SealingKeyFile string
	// ChallengePrograms is the folder of the programs that issuers may name for dns-01; empty for none.
	ChallengePrograms string
	// DiscoveryDestinations are the networks and hosts of the inside that DiscoverySources may ask, besides public ones.
	DiscoveryDestinations []string
	// Resolvers are the name servers that hosts of Partners are asked of, address or address:port; the machine's when empty.
	Resolvers []string
	// DiscoveryFiles is the folder of the lists that DiscoverySources may read; empty for none.
	DiscoveryFiles string
	// RegistrationLease is how long a server that registers itself may be silent; 30 s when 0.
	RegistrationLease time.Duration
	// Backups, when set, are made by themselves.
	Backups *Backups
	Version string
	Log     *slog.Logger
	Clock   func() time.Time
	// Ready, when set, is told once everything is served.
	Ready func(Listening)
}

// Cluster names an etcd outside.
type Cluster = store.Cluster

// Listening says where a control plane is found.
type Listening struct {
	// URL is of the API; People of the listener for people's browsers, Metrics of the plain one, empty for none.
	URL, People, Metrics string
	// CAHash is what clients pin.
	CAHash string
	// TokenFile holds the first admin's token; empty where that is not, as on all but the first server of a store.
	TokenFile string
}

func (o *Options) fill() {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
}
