// Package kubernetes watches the EndpointSlices (discovery.k8s.io/v1) of a Kubernetes cluster: of a namespace or all,
// of one service or those with some labels. It lists them in pages of one moment, then follows the server's watch from
// there, over connections that end and are made again; when the server no longer knows where the watch stood (410 Gone),
// or sends what cannot be, it lists anew.
//
// A part is a service, named "namespace/service", merged over its slices: Kubernetes puts the endpoints of a service
// into as many slices as it likes and moves them about, in several steps. One that is in two slices is one instance, as
// the slice that was written last has it, with the ports of both. One that is in none any more stands for Config.Hold
// while the watch runs, since it is on its way to another slice if it was not ending.
//
// An instance is a pod, and its ID the pod's name; of what is no pod, "kind:name"; of what has no name, its address. Its
// fields:
//
//	name        of the pod or whatever it is, else its host name, else the address
//	address     the first; Kubernetes gives no meaning to others
//	port        if there is one TCP port only
//	port.NAME   each TCP port that has a name
//	namespace   of the service
//	service     its name
//	kind        Pod, as a rule
//	hostname    if Kubernetes was told one
//	node        the machine it runs on
//	zone        of that machine
//	hints       zones that should use it, as "az1,az2"
//
// Fields without a value are left out. Endpoints with no usable address (names in place of addresses too) or with
// impossible names are left out and logged, once for each slice as long as the reason is the same; the rest of the
// service stands. So are slices without the label of a service. Anything else that is wrong with an answer is a failure
// of the whole.
package kubernetes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"weir/internal/discovery"
	"weir/internal/discovery/httpget"
)

// Config is where and what to watch.
type Config struct {
	// Server is the URL of the API server, https unless it is asked without credentials.
	Server string
	// Namespace is the one to watch; empty means all.
	Namespace string
	// Service is the name of the one service to watch; empty means all.
	Service string
	// Selector is a label selector for slices, in Kubernetes' notation. They bear the labels of their service.
	Selector string
	// Family is IPv4 or IPv6 if only those addresses shall be taken. Empty takes each instance once, by IPv4 if it has that.
	Family string
	// TokenFile holds the bearer token. It is read for every request, so that a new one is used as soon as it is there.
	TokenFile string
	// Token is the bearer token itself, in place of a file.
	Token string
	// TLS has the authority of the server and the certificate to show it; nil means the system's authorities.
	TLS *tls.Config
	// Dial makes connections; nil means the usual way.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// PageSize is how many slices are asked for at once; 0 means 100.
	PageSize int
	// Hold is how long an instance stands that is in no slice any more; 0 means half a second.
	Hold time.Duration
	// Log is told of what was left out; nil means nobody is.
	Log *slog.Logger
}

// The addresses that Config.Family names.
const (
	IPv4 = "IPv4"
	IPv6 = "IPv6"
)

const (
	defaultPage = 100 // slices of 1000 endpoints each stay within discovery.MaxAnswer
	defaultHold = 500 * time.Millisecond
	maxHold     = time.Minute
	maxPage     = 10_000
	maxSelector = 4096
)

// Check says what is wrong with c, for whoever wrote it.
func (c Config) Check() error {
	u, err := httpget.CheckURL(c.Server)
	switch {
	case err != nil:
		return fmt.Errorf("server: %w; write the URL of the API server, as https://10.0.0.1:6443", err)
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("server: leave out what comes after ? or # in the URL")
	case u.Scheme == "http" && (c.TokenFile != "" || c.Token != "" || c.TLS != nil):
		return errors.New("server: write https in the URL: a token or certificate is not for the clear")
	}
	if c.Token != "" && c.TokenFile != "" {
		return errors.New("token: there is one, and a file of one")
	}
	if strings.ContainsFunc(c.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("token: it holds spaces or characters that do not print")
	}
	if c.Namespace != "" && !word(c.Namespace) {
		return fmt.Errorf("namespace %q: write a name as Kubernetes has it, or nothing for all", c.Namespace)
	}
	if c.Service != "" && !word(c.Service) {
		return fmt.Errorf("service %q: write a name as Kubernetes has it, or nothing for all", c.Service)
	}
	if len(c.Selector) > maxSelector || strings.ContainsFunc(c.Selector, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Errorf("selector: write labels as Kubernetes has them, as team=web,tier!=test, in at most %d characters", maxSelector)
	}
	return c.checkBounds()
}

func (c Config) checkBounds() error {
	if c.Family != "" && c.Family != IPv4 && c.Family != IPv6 {
		return fmt.Errorf("family %q: write %s or %s, or nothing for either", c.Family, IPv4, IPv6)
	}
	if c.PageSize < 0 || c.PageSize > maxPage {
		return fmt.Errorf("page size %d: write a number from 1 to %d, or 0 for %d", c.PageSize, maxPage, defaultPage)
	}
	if c.Hold < 0 || c.Hold > maxHold {
		return fmt.Errorf("hold %s: write a time up to %s, or 0 for %s", c.Hold, maxHold, defaultHold)
	}
	return nil
}

// Source watches the slices of one cluster.
type Source struct {
	c    Config
	http *http.Client
	path string // of the collection, with the server before it
}

// New returns a source for c, which it checks.
func New(c Config) (*Source, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if c.PageSize == 0 {
		c.PageSize = defaultPage
	}
	if c.Hold == 0 {
		c.Hold = defaultHold
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	path := strings.TrimRight(c.Server, "/") + "/apis/discovery.k8s.io/v1"
	if c.Namespace != "" {
		path += "/namespaces/" + c.Namespace
	}
	return &Source{c: c, http: client(c), path: path + "/endpointslices"}, nil
}

var _ discovery.Source = (*Source)(nil)
