package weir

import (
	"net/url"
	"path"
	"strings"
	"time"
)

// DiscoverySource is a place outside that servers are learned from: it is watched, and what it has becomes Servers that
// come and go with it. It has exactly one of Consul, ZooKeeper, DNS, Kubernetes, File and URL.
type DiscoverySource struct {
	Consul     *ConsulSource     `json:"consul,omitempty"`
	ZooKeeper  *ZooKeeperSource  `json:"zookeeper,omitempty"`
	DNS        *DNSSource        `json:"dns,omitempty"`
	Kubernetes *KubernetesSource `json:"kubernetes,omitempty"`
	File       *FileSource       `json:"file,omitempty"`
	URL        *URLSource        `json:"url,omitempty"`
	// Role is the one that the Servers are of; without it they are the platform's.
	Role string `json:"role,omitempty"`
	// Server says how an instance that is found becomes a Server.
	Server ServerTemplate `json:"server"`
	// Interval is how often a file (half a second when left out) or a URL (half a minute) is looked at, the longest time
	// that an answer of the DNS is believed (five minutes), and how long a question to Consul hangs (a minute). Changes
	// in ZooKeeper and Kubernetes come by themselves.
	Interval Duration `json:"interval,omitempty"`
	// Floor says how much may go before the source is doubted.
	Floor SourceFloor `json:"floor,omitzero"`
}

// ConsulSource is services in Consul, followed by blocking queries.
type ConsulSource struct {
	// Address is the URL of an agent or server, as https://consul.example.com:8501.
	Address string `json:"address"`
	// Token names the Secret that holds a token which may read the services and their nodes.
	Token string `json:"token,omitempty"`
	// Authority names the Certificate without a key that is believed; the system's when left out.
	Authority  string `json:"authority,omitempty"`
	Datacenter string `json:"datacenter,omitempty"`
	Namespace  string `json:"namespace,omitempty"`
	Partition  string `json:"partition,omitempty"`
	// Services are followed; when none are listed, all that have all of Tags.
	Services []string `json:"services,omitempty"`
	// Tags must all be on an instance.
	Tags []string `json:"tags,omitempty"`
	// Filter is an expression of Consul's own, such as Service.Meta.version != "1".
	Filter string `json:"filter,omitempty"`
	// OnlyPassing takes warning for not ready.
	OnlyPassing bool `json:"onlyPassing,omitempty"`
	// Stale lets any server answer, which spares the leader work and may be behind it.
	Stale bool `json:"stale,omitempty"`
}

// ZooKeeperSource is nodes that servers make in ZooKeeper.
type ZooKeeperSource struct {
	// Servers are the members of the ensemble, as host or host:port.
	Servers []string `json:"servers"`
	// Path is the node whose children are instances, or services with Services.
	Path string `json:"path"`
	// Services says that the children of Path are services, and theirs the instances.
	Services bool `json:"services,omitempty"`
	// User and the Secret that Password names are for the scheme digest.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	// TLS speaks TLS; Authority names the Certificate without a key that is believed, the system's when left out.
	TLS       bool   `json:"tls,omitempty"`
	Authority string `json:"authority,omitempty"`
	// Session is how long a silent member is waited for; 10 s when left out.
	Session Duration `json:"session,omitempty"`
}

// DNSSource is names in the DNS.
type DNSSource struct {
	// Names are asked for as they stand, without search domains.
	Names []string `json:"names"`
	// SRV asks for SRV records, and for the addresses of their targets.
	SRV bool `json:"srv,omitempty"`
	// Family is preferIPv4, preferIPv6, IPv4, IPv6 or both.
	Family string `json:"family,omitempty"`
	// Servers are the name servers, as address or address:port; those of the machine when left out.
	Servers []string `json:"servers,omitempty"`
	// MinTTL is how long an answer is believed at least; 5 s when left out.
	MinTTL Duration `json:"minTTL,omitempty"`
	// Timeout bounds the wait for each answer; 2 s when left out.
	Timeout Duration `json:"timeout,omitempty"`
}

// KubernetesSource is EndpointSlices of Kubernetes.
type KubernetesSource struct {
	// Server is the URL of the API server, as https://10.0.0.1:6443.
	Server string `json:"server"`
	// Token names the Secret that holds the token of a service account that may list and watch endpointslices.
	Token string `json:"token,omitempty"`
	// Authority names the Certificate without a key that is believed; the system's when left out.
	Authority string `json:"authority,omitempty"`
	// Namespace and Service are watched; all when left out.
	Namespace string `json:"namespace,omitempty"`
	Service   string `json:"service,omitempty"`
	// Selector is one of labels in Kubernetes' notation, as team=web,tier!=test.
	Selector string `json:"selector,omitempty"`
	// Family is IPv4 or IPv6 if only such addresses are wanted.
	Family string `json:"family,omitempty"`
}

// FileSource is a list of targets in Prometheus' format in a file of the control plane's machines.
type FileSource struct {
	// Path is below the folder that the server's flag --discovery-files names.
	Path string `json:"path"`
	// Format is json or yaml; the end of the path says it when left out.
	Format string `json:"format,omitempty"`
}

// URLSource is a list of targets in Prometheus' format at a URL.
type URLSource struct {
	URL    string `json:"url"`
	Format string `json:"format,omitempty"`
	// Token names the Secret that is sent as a bearer's token.
	Token string `json:"token,omitempty"`
	// Authority names the Certificate without a key that is believed; the system's when left out.
	Authority string `json:"authority,omitempty"`
}

// SourceFloor says how much of what a source had it can take away without being doubted: what is beyond changes nothing
// until a person confirms it, the source has it again, or Hold has passed. All that it had is always beyond.
type SourceFloor struct {
	// Percent and Count are borne: a fall is doubted that is more than both. 30 % and 2 servers when left out.
	Percent *int `json:"percent,omitempty"`
	Count   *int `json:"count,omitempty"`
	// Hold is how long what is gone must stay so until that is believed; an hour when left out.
	Hold Duration `json:"hold,omitempty"`
	// Window is for how long falls are summed up; ten minutes when left out.
	Window Duration `json:"window,omitempty"`
}

// ManagedByDiscovery begins metadata.managedBy of the Servers that a DiscoverySource writes; its name follows.
const ManagedByDiscovery = "discovery/"

// Driver names the field that says where the source is, "" when there is none or more than one.
func (d *DiscoverySource) Driver() string {
	if list := d.drivers(); len(list) == 1 {
		return list[0]
	}
	return ""
}

func (d *DiscoverySource) drivers() (list []string) {
	for _, driver := range []struct {
		name string
		here bool
	}{
		{"consul", d.Consul != nil},
		{"zookeeper", d.ZooKeeper != nil},
		{"dns", d.DNS != nil},
		{"kubernetes", d.Kubernetes != nil},
		{"file", d.File != nil},
		{"url", d.URL != nil},
	} {
		if driver.here {
			list = append(list, driver.name)
		}
	}
	return list
}

// Place says where the source is, for people; it holds no secret.
func (d *DiscoverySource) Place() string {
	switch d.Driver() {
	case "consul":
		return d.Consul.Address
	case "zookeeper":
		return strings.Join(d.ZooKeeper.Servers, ",") + d.ZooKeeper.Path
	case "dns":
		return strings.Join(d.DNS.Names, ",")
	case "kubernetes":
		return d.Kubernetes.Server
	case "file":
		return d.File.Path
	case "url":
		u, err := url.Parse(d.URL.URL)
		if err != nil {
			return ""
		}
		u.RawQuery, u.ForceQuery = "", false // what is behind ? may be secret
		return u.Redacted()
	}
	return ""
}

// Normalize fills the defaults.
func (d *DiscoverySource) Normalize() {
	if d.DNS != nil {
		setDefault(&d.DNS.Family, "preferIPv4")
	}
	if usual, ok := usualTemplates[d.Driver()]; ok {
		setDefault(&d.Server.Name, usual.Name)
		setDefault(&d.Server.Address, usual.Address)
		setDefault(&d.Server.Zone, usual.Zone)
		if d.DNS != nil && d.DNS.SRV {
			if d.Server.Name == usual.Name {
				d.Server.Name = "${target}"
			}
		}
	}
	f := &d.Floor
	if f.Percent == nil {
		f.Percent = new(30)
	}
	if f.Count == nil {
		f.Count = new(2)
	}
	setDefault(&f.Hold, Duration(time.Hour))
	setDefault(&f.Window, Duration(10*time.Minute))
}

// Validate checks what can be seen without asking the place; what only a driver knows it says when the object is written.
func (d *DiscoverySource) Validate(p *Problems) {
	switch list := d.drivers(); len(list) {
	case 0:
		p.Add("consul", "or one of zookeeper, dns, kubernetes, file and url is required: where servers are to be found")
	case 1:
		d.Server.validate(p, list[0], d.fields())
	default:
		p.Add(list[1], "is one too many beside %s; make a source of each", list[0])
	}
	if d.Role != "" {
		required(p, "role", d.Role)
	}
	if d.Interval != 0 {
		if d.ZooKeeper != nil || d.Kubernetes != nil {
			p.Add("interval", "is for dns, consul, file and url; changes in %s come by themselves", d.Driver())
		}
		d.Interval.within(p, "interval", 100*time.Millisecond, 24*time.Hour)
	}
	if f := d.File; f != nil {
		checkFilePath(p, "file.path", f.Path)
	}
	if n := d.DNS; n != nil {
		oneOf(p, "dns.family", n.Family, DNSFamilies...)
	}
	if z := d.ZooKeeper; z != nil && z.Authority != "" && !z.TLS {
		p.Add("zookeeper.authority", "belongs to tls: true")
	}
	d.Floor.validate(p)
}

// DNSFamilies are what a DNSSource can want of addresses.
var DNSFamilies = []string{"preferIPv4", "preferIPv6", "IPv4", "IPv6", "both"}

func (f *SourceFloor) validate(p *Problems) {
	between(p, "floor.percent", *f.Percent, 0, 100)
	between(p, "floor.count", *f.Count, 0, 1_000_000)
	f.Hold.within(p, "floor.hold", time.Second, 30*24*time.Hour)
	f.Window.within(p, "floor.window", time.Second, 24*time.Hour)
}

// checkFilePath takes a path that leads to a file below a folder.
func checkFilePath(p *Problems, at, s string) {
	switch {
	case s == "":
		p.Add(at, "is required: a file below the folder that the server's flag --discovery-files names, such as web.json")
	case len(s) > 1024 || strings.IndexFunc(s, misleads) >= 0:
		p.Add(at, "%q is no path of a file", clip(s))
	case path.IsAbs(s) || path.Clean(s) != s || s == "." || s == ".." || strings.HasPrefix(s, "../"):
		p.Add(at, "%q must be below the folder that the server's flag --discovery-files names, such as web.json or shop/web.json", clip(s))
	}
}

// References are the role and what the drivers need.
func (d *DiscoverySource) References() []Reference {
	list := optional(nil, "role", "Role", d.Role)
	add := func(at, secret, authority string) {
		word := ".token"
		if at == "zookeeper" {
			word = ".password"
		}
		list = optional(optional(list, at+word, "Secret", secret), at+".authority", "Certificate", authority)
	}
	switch {
	case d.Consul != nil:
		add("consul", d.Consul.Token, d.Consul.Authority)
	case d.ZooKeeper != nil:
		add("zookeeper", d.ZooKeeper.Password, d.ZooKeeper.Authority)
	case d.Kubernetes != nil:
		add("kubernetes", d.Kubernetes.Token, d.Kubernetes.Authority)
	case d.URL != nil:
		add("url", d.URL.Token, d.URL.Authority)
	}
	return list
}

// Secret names the Secret that the source is asked with, and Authority the Certificate that is believed there; "" for
// none.
func (d *DiscoverySource) Secret() string    { return d.named("Secret") }
func (d *DiscoverySource) Authority() string { return d.named("Certificate") }

func (d *DiscoverySource) named(kind string) string {
	for _, r := range d.References() {
		if r.Kind == kind {
			return r.Name
		}
	}
	return ""
}
