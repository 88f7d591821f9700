/* mp/mp.h: all of libmp but mp/inline.h, which is for those who ask for it.
 * SPDX-License-Identifier: MIT */
#ifndef MP_MP_H
#define MP_MP_H

#include "mp/base.h"
#include "mp/collection.h"
#include "mp/connection.h"
#include "mp/context.h"
#include "mp/family.h"
#include "mp/imap.h"
#include "mp/listener.h"
#include "mp/log.h"
#include "mp/manager.h"
#include "mp/object.h"
#include "mp/pickle.h"
#include "mp/pool.h"
#include "mp/pool_stats.h"
#include "mp/process.h"
#include "mp/proxy.h"
#include "mp/proxy_types.h"
#include "mp/python.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/shared_memory.h"
#include "mp/sync.h"

#endif
