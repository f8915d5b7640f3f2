#include "persist/hooks.h"

struct dsq_hooks dsq_hooks;
