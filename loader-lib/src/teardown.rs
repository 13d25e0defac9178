//! Plugins on their way out: each after all that call it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use stoa_core::id::PluginId;
use tokio::{sync::watch, time::Instant};

use crate::{call::Call, slot::Slot};

/// The most that is kept for each plugin below to say goodbye, whatever those above it take.
const RESERVE: Duration = Duration::from_secs(1);

/// Takes `slots`, in load order, out of service by `until`: each once all of them that depend on it are gone, and
/// independent ones beside each other. `gone` is told each as it goes.
///
/// What hangs takes nothing from others: of the time that there is, every step down has a part of its own.
pub(crate) async fn tear_down<S: Send + 'static>(
    slots: &[Arc<Slot<S>>],
    until: Instant,
    goodbye: impl Fn(&Slot<S>) -> Call,
    gone: impl Fn(&Slot<S>),
) {
    let heights = heights(slots);
    let highest = heights.values().copied().max().unwrap_or(0);
    let reserve = (until.saturating_duration_since(Instant::now()) / (2 * (highest + 1))).min(RESERVE);
    // Set when the plugin is gone.
    let ends: HashMap<&PluginId, watch::Sender<bool>> =
        slots.iter().map(|slot| (slot.key().id(), watch::Sender::new(false))).collect();
    let mut leaving: FuturesUnordered<_> = slots
        .iter()
        .map(|slot| {
            let id = slot.key().id();
            let depends = |above: &&Arc<Slot<S>>| above.planned().dependencies.iter().any(|edge| edge.on == *id);
            let above = slots.iter().filter(depends).filter_map(|above| ends.get(above.key().id()));
            let above: Vec<_> = above.map(watch::Sender::subscribe).collect();
            let (end, goodbye, gone) = (ends.get(id), &goodbye, &gone);
            let until = until - reserve * heights.get(id).copied().unwrap_or(0);
            async move {
                for mut above in above {
                    // An error would mean that it is gone altogether.
                    let _ = above.wait_for(|gone| *gone).await;
                }
                slot.retire(goodbye(slot), until).await;
                gone(slot);
                end.map(|end| end.send_replace(true));
            }
        })
        .collect();
    while leaving.next().await.is_some() {}
}

/// How many steps down it is from each to the last that it depends on.
fn heights<S: Send + 'static>(slots: &[Arc<Slot<S>>]) -> HashMap<&PluginId, u32> {
    let mut heights: HashMap<&PluginId, u32> = HashMap::new();
    for slot in slots {
        let below = slot.planned().dependencies.iter().filter_map(|edge| heights.get(&edge.on)).max();
        heights.insert(slot.key().id(), below.map_or(0, |below| below + 1));
    }
    heights
}
