// SOCI as the local cloud uses it. Debian's package is configured for Boost, which nothing here needs: its
// conversions are left out.
#pragma once

#include <soci/soci-config.h>
#undef SOCI_HAVE_BOOST
#undef SOCI_HAVE_BOOST_DATE_TIME
#include <soci/soci.h>
