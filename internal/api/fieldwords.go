package api

import (
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"weir"
)

// fieldWords are the fields that take one of a few words, by schema and property; of lists it is their items.
var fieldWords = map[string][]string{
	"ACME.challenge":              {weir.HTTP01, weir.DNS01},
	"CertificateSpec.keyType":     weir.KeyTypes,
	"DNSSource.family":            weir.DNSFamilies,
	"HealthCheck.method":          {"HEAD", "GET", "OPTIONS"},
	"HealthCheck.type":            append(slices.Clone(weir.CheckTypes), "none"),
	"IssuerSpec.type":             {weir.IssuerACME, weir.IssuerCA},
	"ListStrings.match":           {weir.MatchExact, weir.MatchPrefix, weir.MatchSuffix, weir.MatchContains},
	"Listener.redirect":           {"https"},
	"ListenerTLS.alpn":            {"h2", "http/1.1"},
	"ListenerTLS.keyTypes":        weir.KeyTypes,
	"ListenerTLS.profile":         weir.TLSProfiles,
	"LoadBalancerGroupSpec.drift": {string(weir.DriftCorrect), string(weir.DriftReport)},
	"MapSpec.match":               {"exact", "prefix", "regex"},
	"OverrideSpec.state":          {weir.StateReady, weir.StateDrain, weir.StateMaintenance},
	"PoolSpec.admission":          {weir.AdmissionCheck, weir.AdmissionRegistration, weir.AdmissionBoth, weir.AdmissionNone},
	"PoolSpec.balance":            weir.Balances,
	"PoolSpec.mode":               {"http", "tcp"},
	"PoolSpec.protocol":           weir.PoolProtocols,
	"PoolSpec.sendProxy":          {"v1", "v2"},
	"PartnerTLS.maxVersion":       {"TLSv1.2", "TLSv1.3"},
	"PartnerTLS.minVersion":       {"TLSv1.2", "TLSv1.3"},
	"SLARetries.methods":          {"idempotent", "all"},
	"SLARetries.on":               {"failure"},
	"PoolTLS.minVersion":          {"TLSv1.2", "TLSv1.3"},
	"PoolTLS.verify":              {"ca", "none"},
	"PrivateCA.keyType":           weir.KeyTypes,
	"RFC2136.algorithm":           {"hmac-sha256", "hmac-sha384", "hmac-sha512"},
	"RateLimitSpec.count":         {weir.CountRequests, weir.CountErrors, weir.CountConnections, weir.CountBytesOut, weir.CountBytesIn, weir.CountConcurrent},
	"RateLimitSpec.mode":          {weir.LimitEnforce, weir.LimitShadow},
	"RateLimitSpec.scope":         {"loadBalancer"},
	"Redirect.scheme":             {"http", "https"},
	"Revocation.reason":           weir.RevocationReasons,
	"SiteRouting.homeZone":        {weir.HomeZoneVIP, weir.HomeZoneNone},
	"SiteSpec.mode":               {"http", "tcp", "tls-passthrough"},
	"SplitSpec.sticky":            {weir.StickyNone, weir.StickyCookie, weir.StickySource},
}

// fieldKinds are the fields that name other objects, with the kind of these, by schema and property; of lists and maps
// it is what they hold.
var fieldKinds = map[string]string{
	"ACME.authority":               "Certificate",
	"CertificateSpec.issuer":       "Issuer",
	"ConsulSource.authority":       "Certificate",
	"ConsulSource.token":           "Secret",
	"Delegation.role":              "Role",
	"DiscoverySourceSpec.role":     "Role",
	"ExternalAccount.secret":       "Secret",
	"GrantSpec.role":               "Role",
	"IPAddressSpec.groups":         "LoadBalancerGroup",
	"IPAddressSpec.homeZone":       "Zone",
	"IssuerSpec.roles":             "Role",
	"JoinTerms.group":              "LoadBalancerGroup",
	"JoinTerms.zone":               "Zone",
	"KubernetesSource.authority":   "Certificate",
	"KubernetesSource.token":       "Secret",
	"ListSource.authority":         "Certificate",
	"ListenerTLS.certificates":     "Certificate",
	"ListenerTLS.issuer":           "Issuer",
	"LoadBalancerGroupSpec.tuning": "Tuning",
	"LoadBalancerSpec.group":       "LoadBalancerGroup",
	"LoadBalancerSpec.zone":        "Zone",
	"Metadata.role":                "Role",
	"Metadata.shareWith":           "Role",
	"OverrideSpec.pool":            "Pool",
	"OverrideSpec.server":          "Server",
	"PageAnswer.name":              "ErrorPage",
	"PoolSpec.logic":               "Logic",
	"EgressRuleSpec.clients":       "EgressClient",
	"EgressRuleSpec.partner":       "Partner",
	"EgressRuleSpec.schedule":      "Schedule",
	"EgressRuleSpec.slas":          "SLA",
	"PartnerTLS.ca":                "Certificate",
	"PartnerTLS.clientCertificate": "Certificate",
	"PoolTLS.ca":                   "Certificate",
	"PoolTLS.clientCertificate":    "Certificate",
	"PrivateCA.parent":             "Issuer",
	"RFC2136.secret":               "Secret",
	"RateLimitSchedule.schedule":   "Schedule",
	"RateLimitSpec.exempt":         "AccessList",
	"RegistrationTerms.role":       "Role",
	"RegistrationTerms.zone":       "Zone",
	"RoleSpec.groups":              "LoadBalancerGroup",
	"RouteMatch.accessList":        "AccessList",
	"RouteMatch.map":               "Map",
	"RouteMatch.schedule":          "Schedule",
	"RouteSpec.site":               "Site",
	"Selector.role":                "Role",
	"Selector.zone":                "Zone",
	"ServerSpec.zone":              "Zone",
	"SiteMaintenance.except":       "AccessList",
	"SiteMaintenance.page":         "ErrorPage",
	"SiteMaintenance.schedule":     "Schedule",
	"SiteRouting.fallback":         "Pool",
	"SiteSpec.addresses":           "IPAddress",
	"SiteSpec.backends":            "Pool",
	"SiteSpec.errorPages":          "ErrorPage",
	"SiteSpec.logic":               "Logic",
	"SiteSpec.rateLimits":          "RateLimit",
	"SoftLimit.errorPage":          "ErrorPage",
	"SplitSpec.schedule":           "Schedule",
	"SplitSpec.site":               "Site",
	"TuningSpec.errorPages":        "ErrorPage",
	"URLSource.authority":          "Certificate",
	"URLSource.token":              "Secret",
	"ValueMatch.accessList":        "AccessList",
	"ZooKeeperSource.authority":    "Certificate",
	"ZooKeeperSource.password":     "Secret",
	"ZoneShiftSpec.role":           "Role",
	"ZoneShiftSpec.schedule":       "Schedule",
	"ZoneShiftSpec.sites":          "Site",
	"ZoneShiftSpec.zone":           "Zone",
}

// refersTo is the extension of a schema whose values name objects of a kind.
const refersTo = "x-refers"

// tellWords puts the words and the kinds into the schemas. It gives the rows that no schema has.
func tellWords(r huma.Registry) (lost []string) {
	property := func(path string) *huma.Schema {
		name, field, _ := strings.Cut(path, ".")
		if s := r.Map()[name]; s != nil && s.Properties[field] != nil {
			return s.Properties[field]
		}
		lost = append(lost, path)
		return nil
	}
	for path, words := range fieldWords {
		eachText(property(path), func(s *huma.Schema) {
			for _, w := range words {
				s.Enum = append(s.Enum, w)
			}
		})
	}
	for path, kind := range fieldKinds {
		eachText(property(path), func(s *huma.Schema) { s.Extensions = map[string]any{refersTo: kind} })
	}
	return lost
}

// eachText finds the texts that a value is, or holds: of a list or a map its values, of several forms each, of a Logic
// with parameters its name.
func eachText(s *huma.Schema, f func(*huma.Schema)) {
	switch {
	case s == nil || len(s.Enum) > 0:
	case len(s.OneOf) > 0:
		for _, form := range s.OneOf {
			eachText(form, f)
		}
	case s.Type == huma.TypeString:
		f(s)
	case s.Type == huma.TypeArray:
		eachText(s.Items, f)
	case s.Properties["name"] != nil:
		eachText(s.Properties["name"], f)
	default:
		if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
			eachText(values, f)
		}
	}
}
