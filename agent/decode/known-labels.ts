/** Names of classes that networks are published with, where their files have none. */
import type { Decoder } from './decoder-schema.js';

export interface KnownLabels {
  /** Whose names they are, for people. */
  readonly by: string;
  readonly labels: readonly string[];
}

/** Source: Lin et al. 2014, Microsoft COCO; the names of its annotations, of the 80 classes that are used. */
const COCO: KnownLabels = {
  by: 'COCO',
  labels: (
    'person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,bench,' +
    'bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,' +
    'sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,' +
    'bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,' +
    'toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,' +
    'teddy bear,hair drier,toothbrush'
  ).split(','),
};

/** Source: Everingham et al. 2010, The PASCAL Visual Object Classes. */
const VOC: KnownLabels = {
  by: 'PASCAL VOC',
  labels: (
    'aeroplane,bicycle,bird,boat,bottle,bus,car,cat,chair,cow,diningtable,dog,horse,motorbike,person,pottedplant,sheep,sofa,' +
    'train,tvmonitor'
  ).split(','),
};

/** Source: Cordts et al. 2016, The Cityscapes Dataset; the classes that are evaluated. */
const CITYSCAPES: KnownLabels = {
  by: 'Cityscapes',
  labels: (
    'road,sidewalk,building,wall,fence,pole,traffic light,traffic sign,vegetation,terrain,sky,person,rider,car,truck,bus,train,' +
    'motorcycle,bicycle'
  ).split(','),
};

/** Of class maps: a cell may show nothing of the 20 classes. */
const VOC_AND_BACKGROUND: KnownLabels = { by: VOC.by, labels: ['background', ...VOC.labels] };

const FACES: KnownLabels = { by: 'a detector of faces', labels: ['face'] };

const TEXT: KnownLabels = { by: 'a detector of text', labels: ['text'] };

/** Undefined where nothing is known. */
export function knownLabels(decoder: Decoder): KnownLabels | undefined {
  switch (decoder.kind) {
    case 'yunet':
      return FACES;
    case 'text-map':
      return TEXT;
    case 'class-map':
      return ofDataset(decoder.classes, [CITYSCAPES, VOC_AND_BACKGROUND]);
    case 'priors':
      return decoder.classes === 1 ? FACES : ofDataset(decoder.classes);
    case 'scored-boxes':
      return decoder.background === 'first' ? FACES : undefined;
    default:
      return 'classes' in decoder ? ofDataset(decoder.classes) : undefined;
  }
}

function ofDataset(classes: number | undefined, known = [COCO, VOC]): KnownLabels | undefined {
  return known.find(({ labels }) => labels.length === classes);
}
