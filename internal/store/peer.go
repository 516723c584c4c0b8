package store

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"

	"weir"
	"weir/internal/secrets"
)

// Peers lets an embedded store have members on other machines, each inside a server there. They know each other by
// certificates of a CA of their own, which issues to nobody else: no agent and no client can speak to a member.
type Peers struct {
	// URL is where the other members reach this one: https, a host and a port. It stays the same.
	URL string
	// Join asks a server of the store to let this one in; it is called once, when the folder holds no store. Without
	// it an empty folder becomes the first member of a new store.
	Join func(ctx context.Context, ask JoinRequest) (JoinAnswer, error)
}

// peersValue is the value of the platform with the CA of the members.
const peersValue = "peers"

// The files of a member beside its data.
const (
	peerFile   = "peer.pem"
	peerCAFile = "peer-ca.crt"
	joinFile   = "join.json"
)

// peerRenewEvery is how often a member looks whether its certificate has to be renewed.
const peerRenewEvery = 12 * time.Hour

// checkPeerURL reads where a member is.
func checkPeerURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Port() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, weir.Errorf(weir.Invalid, "%q is no address of a store member: it must be https, a host and a port, as https://weir1.example:2380", text)
	}
	u.Path = ""
	return u, nil
}

// memberName tells members apart for people: the host, and the port where it is not the usual one.
func memberName(u *url.URL) string {
	if u.Port() == "2380" {
		return u.Hostname()
	}
	return u.Host
}

// listenURL is where a member listens: etcd takes addresses only, so a name stands for all of them.
func listenURL(u *url.URL) url.URL {
	out := *u
	if _, err := netip.ParseAddr(u.Hostname()); err != nil {
		out.Host = net.JoinHostPort("0.0.0.0", u.Port())
	}
	return out
}

// peerTLS reads certificates anew at each handshake, so that renewed ones count at once.
func peerTLS(dir string) transport.TLSInfo {
	pair := filepath.Join(dir, peerFile)
	return transport.TLSInfo{
		CertFile: pair, KeyFile: pair, TrustedCAFile: filepath.Join(dir, peerCAFile), ClientCertAuth: true,
		// Members come from wherever routing takes them; that their CA issued to them is enough.
		SkipClientSANVerify: true,
		MinVersion:          tls.VersionTLS13,
	}
}

// withPeers lets a member listen for others.
func withPeers(cfg *embed.Config, dir string, u *url.URL) {
	cfg.Name = memberName(u)
	cfg.ListenPeerUrls = []url.URL{listenURL(u)}
	cfg.AdvertisePeerUrls = []url.URL{*u}
	cfg.InitialCluster = cfg.Name + "=" + u.String()
	cfg.PeerTLSInfo = peerTLS(dir)
	// Others may be a few milliseconds away, and slow now and then.
	cfg.TickMs, cfg.ElectionMs = 100, 1000
	cfg.SnapshotCatchUpEntries = 1000
}

// grown tells whether the folder has what it takes to listen for other members.
func grown(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, peerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// HasData tells whether the folder of a store inside a server holds a member that has begun.
func HasData(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, "etcd", "member", "wal"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// peerCA gives the CA of the members, which is made when the first of them needs it.
func (s *Store) peerCA(ctx context.Context) (*secrets.CA, error) {
	for {
		value, _, err := s.Platform(ctx, peersValue)
		if err == nil {
			return secrets.ParseCA(value.Bytes(), s.opts.Clock)
		}
		if weir.KindOf(err) != weir.NotFound {
			return nil, err
		}
		text, err := secrets.NewCA(s.opts.Clock())
		if err != nil {
			return nil, err
		}
		if err := s.SetPlatform(ctx, peersValue, text, 0); err != nil && weir.KindOf(err) != weir.Stale {
			return nil, err
		}
	}
}

// issuePeer makes a key and a certificate for this member and keeps both.
func (s *Store) issuePeer(ctx context.Context) error {
	u, err := checkPeerURL(s.opts.Peers.URL)
	if err != nil {
		return err
	}
	ca, err := s.peerCA(ctx)
	if err != nil {
		return err
	}
	key, csr, err := newPeerKey()
	if err != nil {
		return err
	}
	cert, err := ca.IssuePeer(csr, u.Hostname())
	if err != nil {
		return err
	}
	return keepPeer(s.opts.Dir, key, ca.ChainPEM(cert), ca.Trust().PEM())
}

func newPeerKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	csr, err := secrets.CSR(key, "store member")
	return key, csr, err
}

// keepPeer writes the CA first: where there is a certificate, all is there.
func keepPeer(dir string, key *ecdsa.PrivateKey, chain, ca []byte) error {
	pair, err := secrets.AgentCertificate(key, chain)
	if err != nil {
		return err
	}
	if _, err := secrets.ParseTrust(ca); err != nil {
		return err
	}
	if err := secrets.WriteFile(filepath.Join(dir, peerCAFile), ca, 0o644); err != nil {
		return err
	}
	return secrets.WriteKeyPair(filepath.Join(dir, peerFile), pair)
}

// checkPeerFiles refuses an address that the certificate is not for.
func checkPeerFiles(dir string, u *url.URL) error {
	pair, err := secrets.ReadKeyPair(filepath.Join(dir, peerFile))
	if err != nil {
		return err
	}
	if err := pair.Leaf.VerifyHostname(u.Hostname()); err != nil {
		return fmt.Errorf("this member has another address than %s (%w); remove it from the store on another server, empty the folder and join anew", u.Host, err)
	}
	return nil
}

// peerLoop renews the member's certificate, and makes voters of members that have caught up.
func (s *Store) peerLoop() {
	look := s.opts.Clock()
	for s.pause(promoteEvery) {
		s.promote(s.ctx)
		if s.opts.Clock().Sub(look) < peerRenewEvery {
			continue
		}
		look = s.opts.Clock()
		if err := s.renewPeer(s.ctx); err != nil && s.ctx.Err() == nil {
			s.opts.Logger.Error("store: the certificate for the other members can't be renewed; it is tried again", "error", err)
		}
	}
}

func (s *Store) renewPeer(ctx context.Context) error {
	pair, err := secrets.ReadKeyPair(filepath.Join(s.opts.Dir, peerFile))
	if err != nil || !secrets.NeedsRenewal(pair.Leaf, s.opts.Clock()) {
		return err
	}
	return s.issuePeer(ctx)
}
